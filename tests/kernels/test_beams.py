"""Tests of `fastrnn.kernels.beams`."""

import numpy as np
import pytest

from fastrnn.kernels.beams import best_extensions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [1, 63, 64, 200])
def test_the_best_extensions_of_each_group(dtype, classes):
    random_state, offsets, count = np.random.RandomState(classes), np.array([0, 2, 2, 5, 6]), 7
    scores = random_state.randint(0, 40, (6, classes)).astype(dtype)  # many are equal
    scores[random_state.random_sample(scores.shape) < 0.2] = -np.inf
    scores[0, ::3] = np.nan
    scores[5, :] = -np.inf
    before = random_state.randint(0, 9, 6).astype(float)
    rows, tokens, totals = np.empty((4, count), np.int64), np.empty((4, count), np.int32), np.empty((4, count))
    counts = np.empty(4, np.int64)
    best_extensions(rows, tokens, totals, counts, scores, before, offsets)
    for group in range(4):
        expected = [(-(float(scores[row, token]) + before[row]), row, token)
                    for row in range(offsets[group], offsets[group + 1]) for token in range(classes)
                    if scores[row, token] > -np.inf]  # fmt: skip
        expected = sorted(expected)[:count]
        found = slice(counts[group])
        got = zip(-totals[group, found], rows[group, found], tokens[group, found], strict=True)
        assert list(got) == expected
