"""Accuracies of the classifiers on real data: ``python -m benchmarks.quality_classification NAME [--folds N]``.

The folder of the data is the one that the environment variable FASTRNN_DATA names.
"""

import argparse
import time

import numpy as np
from sklearn.model_selection import StratifiedKFold

from fastrnn import MeanEmbeddingClassifier, RNNClassifier, datasets


def glove():
    vectors = datasets.load_glove()
    return vectors.words, vectors.vectors


def folds(bunch, make, n_folds):
    """Print the accuracy of each of ten stratified folds, and their mean."""
    X, y = np.array(bunch.data, object), bunch.target
    splits = StratifiedKFold(10, shuffle=True, random_state=0).split(X, y)
    if "fold" in bunch:
        splits = [(np.flatnonzero(bunch.fold != k), np.flatnonzero(bunch.fold == k)) for k in range(10)]
    report(((X[train], y[train], X[test], y[test]) for train, test in splits), make, n_folds)


def report(parts, make, n_folds):
    scores, begin = [], time.perf_counter()
    for k, (X_train, y_train, X_test, y_test) in enumerate(parts):
        if k == n_folds:
            break
        scores.append(make(k).fit(X_train, y_train).score(X_test, y_test))
        seconds = (time.perf_counter() - begin) / len(scores)
        print(f"fold {k}: {scores[-1]:.4f}, mean {np.mean(scores):.4f}, {seconds:.1f} s a fold", flush=True)


def given(load, make, n_seeds=5):
    """Print the accuracy on the given split, for several seeds."""
    train, test = load("train"), load("test")
    report(((train.data, train.target, test.data, test.target) for _ in range(n_seeds)), make, n_seeds)


def vectors_and_lstm(seed):
    return RNNClassifier(embedding=glove(), max_iter=4, random_state=seed)


def series(max_iter=200):
    options = {"hidden_size": 64, "input": "series", "batch_size": 16, "max_iter": max_iter}
    return lambda seed: RNNClassifier("gru", random_state=seed, **options)


BENCHMARKS = {
    "mr-mean": lambda n: folds(datasets.load_movie_review_sentences(),
                               lambda seed: MeanEmbeddingClassifier(random_state=seed), n),
    "mr-rnn": lambda n: folds(datasets.load_movie_review_sentences(), vectors_and_lstm, n),
    "subjectivity": lambda n: folds(datasets.load_subjectivity(), vectors_and_lstm, n),
    "movie-reviews": lambda n: folds(datasets.load_movie_reviews(), lambda seed: MeanEmbeddingClassifier(
        max_iter=20, random_state=seed), n),
    "japanesevowels": lambda n: given(datasets.load_japanese_vowels, series(60), min(n, 5)),
    "splice": lambda n: folds(datasets.load_splice(), lambda seed: RNNClassifier(
        "gru", tokenizer="chars", embedding_size=16, hidden_size=64, dropout=0.2, max_iter=15, random_state=seed), n),
    **{name: lambda n, name=name: given(lambda part: datasets.load_ucr(name, part), series(), min(n, 5))
       for name in datasets.classification.UCR},
}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=BENCHMARKS)
    parser.add_argument("--folds", type=int, default=10, help="folds, or seeds of a given split")
    arguments = parser.parse_args()
    BENCHMARKS[arguments.what](arguments.folds)
