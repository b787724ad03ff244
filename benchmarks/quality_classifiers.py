"""Accuracies of the classifiers on real data, for `benchmarks.quality`.

Folds are drawn, and models seeded, by fixed numbers: a figure comes out again to the last digit on the same machine.
"""

import time

import numpy as np
from sklearn.model_selection import StratifiedKFold

from fastrnn import MeanEmbeddingClassifier, RNNClassifier
from fastrnn.datasets import (
    load_glove,
    load_japanese_vowels,
    load_movie_review_sentences,
    load_movie_reviews,
    load_splice,
    load_subjectivity,
    load_ucr,
)

N_SEEDS = 5  # models of a split that is given, instead of folds


def folds(bunch):
    """Yield training and test data of ten folds, those of the data set if it has some."""
    X, y = np.array(bunch.data, object), bunch.target
    if "fold" in bunch:
        splits = [(np.flatnonzero(bunch.fold != k), np.flatnonzero(bunch.fold == k)) for k in range(10)]
    else:
        splits = StratifiedKFold(10, shuffle=True, random_state=0).split(X, y)
    for train, test in splits:
        yield X[train], y[train], X[test], y[test]


def given(load):
    """Yield the split that is given, once for each seed."""
    train, test = load("train"), load("test")
    for _ in range(N_SEEDS):
        yield train.data, train.target, test.data, test.target


def with_glove(seed):
    """Return a recurrent classifier that begins with pretrained word vectors."""
    glove = load_glove()
    return RNNClassifier(embedding=(glove.words, glove.vectors), random_state=seed)


def of_series(seed, **options):
    """Return a small recurrent classifier of series: there are 40 to 270 examples."""
    return RNNClassifier("gru", hidden_size=64, input="series", random_state=seed, **options)


def with_places(sequence):
    """Return the letters of a sequence with their places: what matters is how far from the middle a letter stands."""
    return [f"{letter}{place}" for place, letter in enumerate(sequence)]


# What is measured: the parts of the data, and the model for a fold or seed.
BENCHMARKS = {
    "mr-mean": (lambda: folds(load_movie_review_sentences()), lambda seed: MeanEmbeddingClassifier(random_state=seed)),
    "mr-rnn": (lambda: folds(load_movie_review_sentences()), with_glove),
    "subjectivity": (lambda: folds(load_subjectivity()), with_glove),
    "movie-reviews-mean": (
        lambda: folds(load_movie_reviews()),
        lambda seed: MeanEmbeddingClassifier(random_state=seed),
    ),
    "movie-reviews-rnn": (lambda: folds(load_movie_reviews()), with_glove),
    "japanese-vowels": (
        lambda: given(load_japanese_vowels),
        lambda seed: of_series(seed, pooling="mean", recurrent_dropout=0.3),
    ),
    "splice": (
        lambda: folds(load_splice()),
        lambda seed: RNNClassifier("gru", hidden_size=64, tokenizer=with_places, random_state=seed),
    ),
    "gun-point": (lambda: given(lambda part: load_ucr("GunPoint", part)), of_series),
    "italy-power-demand": (lambda: given(lambda part: load_ucr("ItalyPowerDemand", part)), of_series),
    "basic-motions": (lambda: given(lambda part: load_ucr("BasicMotions", part)), of_series),
}


def accuracy(name, n_parts=None):
    """Print the accuracy of each fold or seed, and their mean."""
    parts, make = BENCHMARKS[name]
    scores, seconds = [], []
    for k, (X_train, y_train, X_test, y_test) in enumerate(parts()):
        if k == n_parts:
            break
        begin = time.perf_counter()
        model = make(k).fit(X_train, y_train)
        seconds.append(time.perf_counter() - begin)
        scores.append(model.score(X_test, y_test))
        print(f"{name} {k}: accuracy {scores[-1]:.2%}, fit {seconds[-1]:.1f} s", flush=True)
    print(f"{name}: mean accuracy {np.mean(scores):.2%} of {len(scores)}, fit {np.median(seconds):.1f} s", flush=True)
