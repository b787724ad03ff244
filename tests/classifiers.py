"""Classifiers, texts and series that several tests use."""

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier, RNNClassifier

GOOD, BAD = "good great fine warm bright".split(), "bad awful dull cold dark".split()


def reviews(n=60, seed=0):
    """Return texts of 1 to 8 words, with one word that tells the class."""
    random = np.random.RandomState(seed)
    texts, labels = [], []
    for i in range(n):
        words = random.choice("the film was a story of people".split(), random.randint(0, 8)).tolist()
        words.insert(random.randint(len(words) + 1), random.choice((GOOD, BAD)[i % 2]))
        texts.append(" ".join(words))
        labels.append(("pos", "neg")[i % 2])
    return texts, np.array(labels)


X, Y = reviews()


def recurrent(**options):
    defaults = {"hidden_size": 9, "embedding_size": 7, "dropout": 0.0, "learning_rate_init": 0.02, "max_iter": 8,
                "random_state": 0}  # fmt: skip
    return RNNClassifier(**{**defaults, **options})


def averaging(**options):
    defaults = {"embedding_size": 7, "n_buckets": 50, "learning_rate_init": 0.05, "batch_size": 8, "max_iter": 10,
                "embedding_dropout": 0.2, "random_state": 0}  # fmt: skip
    return MeanEmbeddingClassifier(**{**defaults, **options})


BOTH = pytest.mark.parametrize("make", [recurrent, averaging], ids=["recurrent", "averaging"])


class Tensor:
    """A tensor as torch has it, whose elements are tensors."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return np.array(self.values)


class Table:
    """A table with named columns, as of pandas."""

    ndim, shape = 2, (2, 1)
    columns = ("text",)

    def __iter__(self):
        return iter(self.columns)


def series(n=20, seed=0, size=2):
    """Return series of 3 to 9 steps that rise or fall."""
    random = np.random.RandomState(seed)
    slopes = np.where(np.arange(n) % 2, 1.0, -1.0)
    X = [100 + slope * np.arange(t)[:, None] + random.randn(t, size) / 5
         for slope, t in zip(slopes, random.randint(3, 10, n), strict=True)]  # fmt: skip
    return X, np.where(slopes > 0, "up", "down")
