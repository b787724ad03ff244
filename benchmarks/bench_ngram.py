"""N-gram models on War and Peace if FASTRNN_DATA is set, else on Python's documentation."""

import os
import pathlib
import statistics
import time

import numpy as np

from benchmarks import ROUNDS
from fastrnn.datasets import load_python_docs
from fastrnn.ngram import NGramLanguageModel
from fastrnn.text import close_sentences, tokenize_corpus


def load_lines():
    """Return training and test lines."""
    if "FASTRNN_DATA" in os.environ:
        folder = pathlib.Path(os.environ["FASTRNN_DATA"]) / "warandpeace"
        return [(folder / f"{name}.txt").read_text(encoding="utf-8").splitlines() for name in ("train", "test")]
    lines = load_python_docs().data
    cut = len(lines) * 9 // 10
    return [lines[:cut], lines[cut:]]


def seconds(function):
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class NGrams:
    params = (3, 5)
    param_names = ("order",)

    def setup(self, order):
        self.train, self.test = load_lines()
        self.model = NGramLanguageModel(order, tokenizer="whitespace").fit(self.train)
        tokens = tokenize_corpus(self.train, "whitespace")
        self.ids, self.offsets = close_sentences(*self.model.vocabulary_.encode_corpus(tokens))

    def time_fit(self, order):
        self.model.fit(self.train)

    def peakmem_fit(self, order):
        self.model.fit(self.train)

    def time_score_lines(self, order):
        self.model.score(self.train)

    def time_score_ids(self, order):
        self.model._token_log_probs(self.ids, self.offsets)

    def time_predict_proba_of_1000_contexts(self, order):
        self.model.predict_proba(self.test[:1000])

    def time_sample_10_texts(self, order):
        self.model.sample(10, random_state=0)

    def track_test_perplexity(self, order):
        return float(self.model.perplexity(self.test))

    def track_bytes(self, order):
        return self.model.nbytes_

    track_bytes.unit = "bytes"

    def track_fit_per_sort_of_10_million(self, order):
        """Ratio of medians, interleaved."""
        values = np.random.default_rng(0).integers(0, 2**62, 10_000_000)
        rounds = [
            (seconds(lambda: self.model.fit(self.train)), seconds(lambda: np.sort(values))) for _ in range(ROUNDS)
        ]
        fit, sort = (statistics.median(column) for column in zip(*rounds, strict=True))
        return fit / sort
