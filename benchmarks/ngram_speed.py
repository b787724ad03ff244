"""Print how fast and how large an n-gram model is, in units of `np.sort` of 10,000,000 random int64 in the same run.

The last row is a network for comparison, a 2×200 LSTM, on a part of the text. Tokens per second of fitting and scoring
say what a GPU could gain: n-gram models have none.

python -m benchmarks.ngram_speed [ORDER]     (FASTRNN_DATA names the folder with the corpora)
"""

import argparse
import statistics

import numpy as np

from benchmarks import ROUNDS
from benchmarks.bench_ngram import load_lines, seconds
from fastrnn.kernels.threads import effective_n_jobs
from fastrnn.language import RNNLanguageModel
from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.estimation import EstimationOptions, estimate_table
from fastrnn.ngram.workspace import Workspace
from fastrnn.text import close_sentences, tokenize_corpus

_SCORED = 500  # lines that the network reads


def main(order):
    """Print medians of interleaved rounds."""
    train, test = load_lines()
    values = np.random.default_rng(0).integers(0, 2**62, 10_000_000)
    model = NGramLanguageModel(order, tokenizer="whitespace")
    print(f"first fit, compiling what is not on disk: {seconds(lambda: model.fit(train)):.2f} s")
    n_words = len(model.vocabulary_)
    encoded = model.vocabulary_.encode_corpus(tokenize_corpus(train, "whitespace"))
    text, _ = close_sentences(*encoded, start=True)
    unchanged = np.arange(n_words, dtype=np.int32)
    workspace = Workspace(n_jobs=effective_n_jobs(None))
    ids, offsets = close_sentences(*encoded)
    options = {name: getattr(model, name) for name in EstimationOptions._fields}
    options = EstimationOptions(**{**options, "prune": (0,)})
    network = RNNLanguageModel(hidden_size=200, num_layers=2, vocabulary=model.vocabulary_, early_stopping=False,
                               tokenizer="whitespace", max_iter=1).fit(train[:_SCORED])  # fmt: skip
    n_scored = int(offsets[_SCORED])
    tasks = {
        "np.sort": lambda: np.sort(values),
        "fit to lines": lambda: model.fit(train),
        "fit to ids": lambda: estimate_table(text, unchanged, n_words, options, workspace),
        "score lines": lambda: model.score_samples(train),
        "score ids": lambda: model._token_log_probs(ids, offsets),
        "predict_proba, 1,000 contexts": lambda: model.predict_proba(test[:1000]),
        "2×200 LSTM, score ids": lambda: network._token_log_probs(ids[:n_scored], offsets[: _SCORED + 1]),
    }
    tokens = dict.fromkeys(tasks, len(ids)) | {"2×200 LSTM, score ids": n_scored}
    rounds = [[seconds(task) for task in tasks.values()] for _ in range(ROUNDS)]
    medians = dict(zip(tasks, map(statistics.median, zip(*rounds, strict=True)), strict=True))
    for name, median in medians.items():
        rate = f"  {tokens[name] / median:12,.0f} tokens/s" if "fit" in name or "score" in name else ""
        print(f"{name:30s} {median:7.4f} s  {median / medians['np.sort']:6.3f} sorts{rate}")
    n_ngrams = sum(model.n_ngrams_)
    print(f"order {order}: test perplexity {model.perplexity(test):.4f}, {n_ngrams} n-grams")
    for quantize in (False, True):
        model.set_params(quantize=quantize).fit(train)
        print(f"quantize={quantize}: {model.nbytes_ / n_ngrams:.2f} bytes an n-gram, {model.perplexity(test):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("order", type=int, nargs="?", default=5, metavar="ORDER")
    main(parser.parse_args().order)
