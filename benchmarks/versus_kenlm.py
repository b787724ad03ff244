"""Print how fast KenLM's Python module and this package score War and Peace (or Python's documentation).

python -m benchmarks.versus_kenlm [ORDER]     (FASTRNN_DATA names the folder with the corpora)

KenLM reads our ARPA file. Medians of rounds in which both take turns; `pip install kenlm` needs a compiler.
"""

import argparse
import math
import pathlib
import statistics
import tempfile

from benchmarks.bench_ngram import load_lines, seconds
from fastrnn.ngram import NGramLanguageModel
from fastrnn.text import close_sentences, tokenize_corpus

ROUNDS = 11


def main(order):
    import kenlm  # here, since asv imports every file of this folder, also where there is no KenLM

    train, _ = load_lines()
    model = NGramLanguageModel(order, tokenizer="whitespace").fit(train)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.arpa")
        print(f"to_arpa {seconds(lambda: model.to_arpa(path)):.2f} s, {path.stat().st_size / 1e6:.1f} MB")
        times = [seconds(lambda: NGramLanguageModel.from_arpa(path)) for _ in range(3)]
        print(f"from_arpa {min(times):.2f} s, {sum(model.n_ngrams_):,} n-grams")
        theirs = kenlm.Model(str(path))
    ids, offsets = close_sentences(*model.vocabulary_.encode_corpus(tokenize_corpus(train, "whitespace")))
    scores, expected = model.score_samples(train) / math.log(10), [theirs.score(line) for line in train]
    difference = max(abs(a - b) / (e - s) for a, b, s, e in zip(scores, expected, offsets, offsets[1:], strict=False))
    print(f"largest difference of a line's log10 probability a token: {difference:.1e}")
    tasks = {
        "KenLM from strings": lambda: sum(map(theirs.score, train)),
        "fastrnn from strings": lambda: model.score(train),
        "fastrnn from ids": lambda: model._token_log_probs(ids, offsets),
    }
    rounds = [[seconds(task) for task in tasks.values()] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    for name, median in zip(tasks, medians, strict=True):
        print(f"{name:22s} {len(ids) / median / 1e6:6.2f} M tokens/s  {medians[0] / median:5.2f} times KenLM")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("order", type=int, nargs="?", default=5, metavar="ORDER")
    main(parser.parse_args().order)
