"""Tests of `fastrnn.estimators.sequences`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.estimators.sequences import Sequences, add_ngrams
from fastrnn.text.tokens import UNK_ID

LISTS = st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1, max_size=6)


def sequences_of(lists, dtype=np.int32):
    offsets = np.cumsum([0, *map(len, lists)])
    return Sequences(np.array([value for part in lists for value in part], dtype), offsets)


def lists_of(values, offsets):
    return [part.tolist() for part in np.split(values, offsets[1:-1])]


@given(LISTS, st.randoms(use_true_random=False))
def test_rows_side_by_side_and_one_after_another(lists, random):
    rows = np.array(random.sample(range(len(lists)), len(lists)))
    sequences = sequences_of(lists)
    padded, lengths = sequences.padded(rows)
    assert lengths.tolist() == [len(lists[row]) for row in rows]
    assert len(padded) == max(1, *lengths)
    for row, column, length in zip(rows, padded.T, lengths, strict=True):
        assert column.tolist() == lists[row] + [0] * (len(padded) - length)
    assert lists_of(*sequences.flat(rows)) == [lists[row] for row in rows]


@given(LISTS, st.integers(1, 4), st.sampled_from(["start", "end"]))
def test_truncated(lists, most, keep):
    cut = sequences_of(lists).truncated(most, keep)
    expected = [part[:most] if keep == "start" else part[-most:] for part in lists]
    assert lists_of(cut.values, cut.offsets) == expected
    assert cut.full_lengths.tolist() == list(map(len, lists))


@pytest.mark.parametrize("seed", [None, 0])
def test_batches_of_similar_lengths_hold_every_sequence_once(seed, monkeypatch):
    monkeypatch.setattr("fastrnn.estimators.sequences._MOST_STEPS", 12)
    sequences = sequences_of([[1] * n for n in (3, 1, 6, 2, 9, 0, 20)])
    rows = np.array([6, 0, 1, 2, 3, 5])
    groups = sequences.groups(rows, 3, None if seed is None else np.random.RandomState(seed))
    assert sorted(np.concatenate(groups)) == sorted(rows)
    for group in groups:
        assert len(group) == 1 or len(group) * sequences.lengths[group].max() <= 12
    if seed is None:
        assert sequences.lengths[np.concatenate(groups)].tolist() == [0, 1, 2, 3, 6, 20]


@given(LISTS, st.integers(1, 3), st.integers(0, 2))
def test_ngrams_are_runs_of_known_words(lists, fewest, more):
    n_words, n_buckets = 10, (1 << 31) - 10  # so many that no two n-grams share one
    bags = add_ngrams(sequences_of(lists), (fewest, fewest + more), n_words, n_buckets)
    buckets = {}
    for part, bag in zip(lists, lists_of(bags.values, bags.offsets), strict=True):
        runs = [tuple(part[i : i + n]) for n in range(fewest, fewest + more + 1) for i in range(len(part) - n + 1)]
        runs = [run for run in runs if UNK_ID not in run]
        assert len(runs) == len(bag)
        for run, number in zip(runs, bag, strict=True):
            assert number == run[0] if len(run) == 1 else n_words <= number < n_words + n_buckets
            assert buckets.setdefault(run, number) == number
    assert len(set(buckets.values())) == len(buckets)
