"""Fit a long text with a limit of memory, print how much was resident, and compare with a fit without the limit.

python -m benchmarks.ngram_memory [TOKENS] [LIMIT] [lines|words]

The text is that of `bench_ngram`, its lines repeated and permuted; with "words" the words within the lines too, so that
most n-grams are different.
"""

import argparse
import resource
import time

import numpy as np

from benchmarks.bench_ngram import load_lines
from fastrnn.ngram import NGramLanguageModel


def make_text(n_tokens, permuted):
    """Yield lines with so many tokens together."""
    rng = np.random.default_rng(0)
    lines = [line.split() for line in load_lines()[0]]
    while True:
        for i in rng.permutation(len(lines)):
            if n_tokens <= 0:
                return
            n_tokens -= len(lines[i]) + 1  # </s>
            yield " ".join(lines[i]) if permuted == "lines" else " ".join(rng.permutation(lines[i]))


def fit(n_tokens, permuted, **parameters):
    """Return a fitted model; print the seconds, and what the process has had in memory at most until now."""
    begin = time.perf_counter()
    model = NGramLanguageModel(5, tokenizer="whitespace", **parameters).fit(make_text(n_tokens, permuted))
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kilobytes on Linux
    print(f"{parameters or 'no limit'}: {seconds:.1f} s, at most {peak:.0f} MB resident", flush=True)
    return model


def main(n_tokens, limit, permuted):
    """Print both fits."""
    fit(10_000, permuted, memory_limit=limit)  # compiles
    limited = fit(n_tokens, permuted, memory_limit=limit)
    whole = fit(n_tokens, permuted)
    same = all(np.array_equal(one, other) for one, other in zip(limited._table, whole._table, strict=True))
    print(
        f"{sum(whole.n_ngrams_):,} n-grams, {whole.nbytes_ / 1e6:.0f} MB; the models are {'' if same else 'NOT '}equal"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", type=int, nargs="?", default=20_000_000, metavar="TOKENS")
    parser.add_argument("limit", nargs="?", default="500MB", metavar="LIMIT")
    parser.add_argument("permuted", nargs="?", choices=["lines", "words"], default="lines")
    arguments = parser.parse_args()
    main(arguments.tokens, arguments.limit, arguments.permuted)
