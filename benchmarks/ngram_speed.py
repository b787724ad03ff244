"""Print how fast an n-gram model is, in units of `np.sort` of 10,000,000 random int64 in the same run.

Usage: python -m benchmarks.ngram_speed [ORDER]     (FASTRNN_DATA names the folder with the corpora)
"""

import statistics
import sys

import numpy as np

from benchmarks import ROUNDS
from benchmarks.bench_ngram import load_lines, seconds
from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.counting import count_ngrams
from fastrnn.ngram.smoothing import modified_kneser_ney
from fastrnn.text import close_sentences, tokenize_corpus


def main(order):
    train, test = load_lines()
    values = np.random.default_rng(0).integers(0, 2**62, 10_000_000)
    model = NGramLanguageModel(order, tokenizer="whitespace")
    print(f"first fit, compiling what is not on disk: {seconds(lambda: model.fit(train)):.2f} s")
    vocabulary = model.vocabulary_
    encoded = vocabulary.encode_corpus(tokenize_corpus(train, "whitespace"))

    def fit_ids():
        text, _ = close_sentences(*encoded, start=True)
        modified_kneser_ney(count_ngrams(text, order, len(vocabulary)))

    ids, offsets = close_sentences(*encoded)
    tasks = {
        "np.sort": lambda: np.sort(values),
        "fit to lines": lambda: model.fit(train),
        "fit to ids": fit_ids,
        "score lines": lambda: model.score(train),
        "score ids": lambda: model._token_log_probs(ids, offsets),
        "predict_proba, 1,000 contexts": lambda: model.predict_proba(test[:1000]),
    }
    rounds = [[seconds(task) for task in tasks.values()] for _ in range(ROUNDS)]
    medians = dict(zip(tasks, map(statistics.median, zip(*rounds, strict=True)), strict=True))
    for name, median in medians.items():
        rate = f"  {len(ids) / median / 1e6:6.1f} M tokens/s" if "score" in name else ""
        print(f"{name:30s} {median:7.4f} s  {median / medians['np.sort']:6.3f} sorts{rate}")
    print(f"order {order}: test perplexity {model.perplexity(test):.4f}, {sum(model.n_ngrams_)} n-grams")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
