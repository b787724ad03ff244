"""Dictionaries and lists of attributes are read as python-crfsuite reads them."""

import random

import pytest

pycrfsuite = pytest.importorskip("pycrfsuite")

from tests.tagging.test_features import learned, read_back  # noqa: E402


def element(draw, depth=2):
    kinds = [lambda: draw.choice("abc"), draw.random, lambda: draw.random() < 0.5, lambda: draw.randrange(4)]
    nested = [lambda: element(draw, depth - 1), lambda: [*draw.sample("abcd", 2)], lambda: {*draw.sample("abcd", 2)}]
    chosen = kinds + nested * (depth > 0)
    return {draw.choice(["k", "é", "x:y"]) + str(place): draw.choice(chosen)() for place in range(draw.randrange(5))}


def test_random_elements():
    draw = random.Random(0)
    X = [[element(draw) for _ in range(draw.randrange(4))] for _ in range(200)]
    expected = [pycrfsuite.ItemSequence(sequence).items() for sequence in X]
    assert sum(map(len, expected)) > 200
    assert read_back(*learned(X)) == expected


def test_lists():
    X = [[["a", "b"], ["é=:"], []], [], [{"c", "a"}]]
    assert read_back(*learned(X, None)) == [pycrfsuite.ItemSequence(sequence).items() for sequence in X]
