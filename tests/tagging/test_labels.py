"""Tests of `fastrnn.tagging.labels`."""

import numpy as np
import pytest
import scipy.sparse

from fastrnn.tagging.labels import check_same_lengths, label_classes, label_sequences, learn_labels
from tests.classifiers import Table, Tensor


@pytest.mark.parametrize(
    ("y", "flat"),
    [
        ([["a", "b"], [], ("c",)], ["a", "b", "c"]),
        ((["a", "b"], [], ["c"]), ["a", "b", "c"]),
        (iter([["a", "b"], [], ["c"]]), ["a", "b", "c"]),
        ([np.array(["a", "b"]), np.array([], str), [np.str_("c")]], ["a", "b", "c"]),
        (np.array([["a", "b"], [], ["c"]], object), ["a", "b", "c"]),
        ([np.array([3, 1]), [], [np.int64(2)]], [3, 1, 2]),
        ([np.array([0.0, 1.0]), [], [2]], [0.0, 1.0, 2]),
        ([[True, False], [], [True]], [True, False, True]),
        ([Tensor([1, 2]), [], Tensor([3])], [1, 2, 3]),
    ],
)
def test_labels_of_every_form_are_read(y, flat):
    labels = label_sequences(y)
    assert labels.flat == flat
    assert all(type(label) in (str, int, float, bool) for label in labels.flat)
    assert labels.lengths.tolist() == [2, 0, 1]
    assert labels.lists() == [flat[:2], [], flat[2:]]
    assert label_sequences(labels) is labels


def test_rows_of_an_array_are_sequences():
    assert label_sequences(np.array([[1, 2], [3, 4]])).lists() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ("abc", "y must be a list of labels for each sequence, .*, got 'abc'"),
        ({"a": ["b"]}, "y must be a list of labels for each sequence"),
        (3, "y must be a list of labels for each sequence, .*, got 3"),
        (Table(), "y must be a list of labels for each sequence"),
        (scipy.sparse.eye(2), "y must be a list of labels for each sequence"),
        ([["a"], "ab"], r"got 'ab' as y\[1\]"),
        ([["a"], 3], r"got 3 as y\[1\]"),
        ([["a"], None], r"got None as y\[1\]"),
        ([["a"], ["b", None]], r"y holds None as label 1 of y\[1\]"),
        ([["a"], ["b", float("nan")]], r"y holds NaN as label 1 of y\[1\]"),
        ([[1.0, float("inf")]], r"got inf as label 1 of y\[0\]"),
        ([[], [1, 2.5]], r"whole numbers as labels, got 2.5 as label 1 of y\[1\]"),
        ([["a"], ["b", 1]], r"labels of one type, got 'a' before and 1 as label 1 of y\[1\]"),
        ([["a"], [["b"]]], r"strings or whole numbers as labels, got \['b'\] as label 0 of y\[1\]"),
        ([[b"a"]], "strings or whole numbers as labels, got b'a'"),
        (np.ma.masked_array([[1, 2]], [[True, False]]), "y has masked values"),
    ],
)
def test_what_is_no_label_is_named(y, message):
    with pytest.raises(ValueError, match=message):
        label_sequences(y)


def test_classes_are_sorted_arrays():
    assert learn_labels(label_sequences([["b"], ["a", "b"]])).tolist() == ["a", "b"]
    assert label_classes([2, 1, 2]).dtype == np.int64
    with pytest.raises(ValueError, match="y holds no labels: at least one"):
        learn_labels(label_sequences([[], []]))
    with pytest.raises(ValueError, match=r"classes holds 'a\\x00', which no array holds"):
        label_classes(["a\0", "b"])


def test_the_first_sequence_of_another_length_is_named():
    labels = label_sequences([["a"], ["b", "c"], []])
    check_same_lengths(labels, [1, 2, 0], ("X", "y"), "tokens")
    message = r"X\[1\] has 3 tokens and y\[1\] 2 labels \(2 of 3 sequences differ\)"
    with pytest.raises(ValueError, match=message):
        check_same_lengths(labels, [1, 3, 1], ("X", "y"), "tokens")
