"""What both taggers answer to unusual and to wrong data, in the same words where these are not about their own X."""

import collections
import functools

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import is_classifier
from sklearn.utils import get_tags

from fastrnn import CRFTagger, RNNTagger

SMALL = {"cell": "rnn", "hidden_size": 16, "embedding_size": 16, "char_encoder": None, "max_iter": 1, "random_state": 0}
TAGGERS = {"crf": CRFTagger, "rnn": functools.partial(RNNTagger, **SMALL)}
X = [["Ann", "left", "Rome"], ["She", "left"], ["Bob", "ran"]] * 4
Y = [["B-PER", "O", "B-LOC"], ["O", "O"], ["B-PER", "O"]] * 4


@pytest.fixture(params=TAGGERS)
def new(request):
    """Return a function that makes a tagger."""
    return TAGGERS[request.param]


def test_empty_sequences(new):
    model = new().fit([[], *X], [[], *Y])
    assert [len(tags) for tags in model.predict([[], ["Ann"], []])] == [0, 1, 0]
    assert model.predict([]) == model.predict_proba([]) == []
    assert model.score([[], ["Ann"]], [[], ["O"]]) in (0.0, 1.0)


@pytest.mark.parametrize("label", ["O", "B-X", "E-X", "NOUN"])
def test_one_label(new, label):
    model = new().fit([["a", "b"], ["c"]], [[label, label], [label]])
    assert model.predict([["a", "z", "b"]]) == [[label] * 3]
    assert model.predict_proba([["a"]])[0].tolist() == [[1.0]]


def test_a_label_seen_once(new):
    model = new().fit([*X, ["odd"]], [*Y, ["B-ODD"]])
    assert model.classes_.tolist() == ["B-LOC", "B-ODD", "B-PER", "O"]


def test_labels_that_are_no_classes(new):
    model = new().fit(X, Y, X_val=[["Ann"], ["x"]], y_val=[["B-ORG"], ["O"]])
    assert model.score([["Ann"], ["left"]], [["B-ORG"], ["I-ORG"]]) == 0.0


class Column(collections.UserList):
    """What taggers see of a Series of pandas."""

    ndim = 1

    def tolist(self):
        return list(self.data)


def test_iterators_and_arrays(new):
    expected = new().fit(X, Y).predict_proba(X)
    others = (
        (iter(X), iter(Y)),
        (tuple(map(tuple, X)), tuple(map(tuple, Y))),
        ([np.array(tokens) for tokens in X], [np.array(tags) for tags in Y]),
        (list(map(Column, X)), list(map(Column, Y))),
    )
    for tokens, tags in others:
        for ours, theirs in zip(new().fit(tokens, tags).predict_proba(X), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_tables_of_columns(new):
    rows = [[(token, token[:1]) for token in tokens] for tokens in X]
    expected = new().fit(rows, Y).predict_proba(rows)
    tables = list(map(np.array, rows))
    for ours, theirs in zip(new().fit(tables, Y).predict_proba(tables), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": [*Y[:5], ["O"], *Y[6:]]}, r"X\[5\] has 2 \w+ and y\[5\] 1 labels \(1 of 12 sequences differ\)"),
        ({"y": Y[:3]}, r"inconsistent numbers of samples: \[12, 3\]"),
        ({"y": [["O", "O", float("nan")], *Y[1:]]}, r"y holds NaN as label 2 of y\[0\]"),
        ({"y": [["O", "O", None], *Y[1:]]}, r"y holds None as label 2 of y\[0\]"),
        ({"y": [["O", "O", 1], *Y[1:]]}, r"labels of one type, got 'O' before and 1 as label 2 of y\[0\]"),
        ({"y": ["O"] * 12}, r"got 'O' as y\[0\]"),
        ({"y": None}, "requires y to be passed"),
        ({"X": [[]], "y": [[]]}, "y holds no labels: at least one sequence with an element is required"),
        ({"X": None}, "X must be .*, got None"),
        ({"X": scipy.sparse.eye(12)}, "X must be .*, got (a|shape)"),
        ({"X": "Ann left"}, "X must be a list|Iterable over raw text documents expected"),
        ({"X": ["Ann left"], "y": [["O", "O"]]}, r"X\[0\] must be a list of .*, got 'Ann left'"),
        ({"X": [["Ann", None]], "y": [["O", "O"]]}, r"X\[0\]\[1\] must be a .*, got None"),
        ({"X": [["Ann", float("nan")]], "y": [["O", "O"]]}, r"X\[0\]\[1\] must be a .*, got nan"),
        ({"X": [[()]], "y": [["O"]]}, r"X\[0\].* must (be|have) .*, got \(\)"),
        ({"X_val": X}, "X_val and y_val must be given both or not at all"),
        ({"y_val": Y}, "X_val and y_val must be given both or not at all"),
        ({"X_val": X[:2], "y_val": [Y[0], ["O", "NN"]]}, r"y_val\[1\]\[1\] must be a tag as .*, got 'NN'"),
        ({"X_val": X, "y_val": [["O"]] * 12}, r"X_val\[0\] has 3 \w+ and y_val\[0\] 1 labels"),
    ],
)
def test_wrong_data_are_named(new, given, message):
    with pytest.raises(ValueError, match=message):
        new().fit(**{"X": X, "y": Y, **given})


@pytest.mark.parametrize("scheme", ["iob2", "bioes"])
def test_a_dash_needs_a_type(new, scheme):
    with pytest.raises(ValueError, match=rf"a type behind each dash with scheme='{scheme}', got \['B-', 'O'\]"):
        new(scheme=scheme).fit([["a", "b"]], [["B-", "O"]])
    assert new().fit([["a", "b"]], [["B-", "O"]]).scheme_ is None


def test_tags_for_searches(new):
    assert get_tags(new()).target_tags.required
    assert not is_classifier(new())  # whose labels scikit-learn would want one for each sequence


def test_scores_that_are_not_defined(new):
    with pytest.raises(ValueError, match="the accuracy of no elements is not defined"):
        new().fit(X, Y).score([[]], [[]])
