"""Series of every form: padding, tables, tensors, and what is no series."""

import numpy as np
import pytest

from fastrnn import RNNClassifier, RNNRegressor
from fastrnn.estimators.series import read_series
from tests.classifiers import Y, recurrent, series

NAN = float("nan")


class Table:
    """A table with named columns, as of pandas."""

    def __init__(self, values, columns):
        self.values, self.names = np.asarray(values), list(columns)
        self.shape = self.values.shape

    @property
    def columns(self):
        return self.names

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class GroupBy:
    """Groups of a table, which iterate as pairs of a name and a table."""

    def __iter__(self):
        return iter([("a", ONE), ("b", TWO)])


def assert_series(X, expected, **options):
    series = read_series(X, **options)
    assert len(series) == len(expected)
    for given, wanted in zip(series, expected, strict=True):
        np.testing.assert_array_equal(given, wanted, strict=True)


ONE, TWO = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]])
PADDED = np.array([[[1, 2], [3, 4], [NAN, NAN]], [[5, 6], [NAN, NAN], [NAN, NAN]]])


def test_padding_with_nan_is_read_as_the_length():
    assert_series(PADDED, [ONE, TWO], missing="pad")
    assert_series(list(PADDED), [ONE, TWO], missing="pad")
    assert_series(PADDED.tolist(), [ONE, TWO], missing="pad")
    assert_series([PADDED[0], TWO], [ONE, TWO], missing="pad")
    assert_series(np.array([[1, 2, NAN], [3, NAN, NAN]]), [[[1.0], [2.0]], [[3.0]]], missing="pad")
    assert_series([[1, 2, None], [3, None, None]], [[[1.0], [2.0]], [[3.0]]], missing="pad")
    assert_series(np.array([[1, 2], [NAN, NAN]]), [[[1.0], [2.0]], np.empty((0, 1))], missing="pad")
    assert_series([ONE], [ONE], missing="pad")


@pytest.mark.parametrize(
    ("X", "missing", "message"),
    [
        (PADDED, "error", r"X\[0\] must be finite, got NaN at step 2: set missing='pad' if the steps"),
        ([ONE, PADDED[1]], "error", r"X\[1\] must be finite, got NaN at step 1: set missing='pad'"),
        ([[NAN, 1.0], [2.0, 1.0]], "error", r"X\[0\] must be finite, got NaN at step 0: fill or drop missing values"),
        ([[1.0, np.inf], [2.0, 1.0]], "error", r"X\[0\] must be finite, got infinity at step 1: fill or drop"),
        ([[1, NAN, 3], [1, 2, NAN]], "pad", r"X\[0\] must be finite, got NaN at step 1: only steps of nothing but NaN"),
        ([ONE, [[1, 2], [3, NAN]]], "pad", r"X\[1\] must be finite, got NaN at step 1: only steps of nothing but NaN"),
        ([[1, -np.inf, NAN]], "pad", r"X\[0\] must be finite, got infinity at step 1: only steps"),
        (np.ma.array(np.ones((2, 3)), mask=np.eye(2, 3)), "pad", r"X must not be a masked array .* set missing='pad'"),
        ([ONE, np.ma.array(TWO, mask=TWO > 5)], "error", r"X\[1\] must not be a masked array with masked values"),
        ([ONE, "text"], "error", r"X must be a list of arrays .*, got the text 'text' as X\[1\]"),
        (np.array(["1", "2"]), "error", r"got the text '1' as X\[0\]"),
        ({"a": ONE}, "error", "X must be a list of arrays"),
        (GroupBy(), "error", r"X must be a list of arrays \(T, D\) .*, got a GroupBy\."),
        ([ONE, TWO + 1j], "error", r"X\[1\] must be an array \(T, D\) of numbers .*, got an array of shape \(1, 2\)"),
        ([ONE, [["a", "b"]]], "error", r"X\[1\] must be an array \(T, D\) of numbers .*, got \[\['a', 'b'\]\]"),
        ([[[1, 2], [3, 4]], [[1, 2], [3]]], "error", r"X\[1\] must be an array \(T, D\) .*, got \[\[1, 2\], \[3\]\]"),
        ([["a", "b"], ["c", "d"]], "error", r"X\[0\] must be an array \(T, D\) of numbers .*, got \['a', 'b'\]"),
        ([ONE, np.array([["2020-01-01", "2020-01-02"]], "M8[D]")], "error", r"X\[1\] must be an array"),
        ([Table(ONE, "ab"), Table(TWO, "ba")], "error", r"X\[1\] must have the columns \['a', 'b'\] in this order"),
    ],
)  # fmt: skip
def test_what_is_no_series_is_named(X, missing, message):
    model = RNNClassifier(input="series", missing=missing)
    with pytest.raises(ValueError, match=message):
        model.fit(X, [0, 1])
    assert not hasattr(model, "network_")


def test_lists_of_tables_of_iterators_and_of_empty_series():
    assert_series([Table(ONE, "ab"), Table(ONE, "ab")], [ONE, ONE])
    assert_series([Table(ONE, "ab"), Table(TWO, "ab")], [ONE, TWO])
    assert_series((part for part in (ONE, TWO)), [ONE, TWO])
    assert_series((ONE, TWO), [ONE, TWO])
    separate = np.empty(2, object)
    separate[:] = [[1, 2], [3, 4]]
    assert_series(separate, [[[1.0], [2.0]], [[3.0], [4.0]]])
    assert_series([[], ONE], [np.empty((0, 2)), ONE])
    assert_series(np.ma.array(PADDED[:, :1]), [ONE[:1], TWO])
    nullable = np.array([[1, 2], [None, None]], object)
    assert_series([Table(nullable, "ab"), ONE], [ONE[:1], ONE], missing="pad")


def options(**others):
    return {"cell": "gru", "hidden_size": 5, "input": "series", "max_iter": 1, "random_state": 0, **others}


def test_padded_series_are_as_those_of_their_own_lengths(tmp_path):
    random = np.random.RandomState(0)
    separate = [random.randn(n, 2) for n in (3, 5, 2, 4)]
    padded = np.full((4, 5, 2), NAN)
    for row, part in zip(padded, separate, strict=True):
        row[: len(part)] = part
    y = [0, 1, 0, 1]
    expected = RNNClassifier(**options()).fit(separate, y).predict_proba(separate)
    model = RNNClassifier(**options(missing="pad")).fit(padded, y)
    np.testing.assert_array_equal(model.predict_proba(padded), expected)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(RNNClassifier.load(tmp_path / "model").predict_proba(padded), expected)
    with pytest.raises(ValueError, match="set missing='pad'"):
        RNNRegressor(**options()).fit(padded, y)
    RNNRegressor(**options(missing="pad")).fit(padded, y)
    with pytest.raises(ValueError, match="missing must be 'error' or 'pad', got 'PAD': did you mean 'pad'"):
        RNNClassifier(**options(missing="PAD")).fit(padded, y)


def test_columns_must_be_those_of_the_training(tmp_path):
    tables = [Table(ONE, ("x", "y")), Table(TWO, ("x", "y"))]
    model = RNNClassifier(**options()).fit(tables, [0, 1])
    model.save(tmp_path / "model")
    for fitted in (model, RNNClassifier.load(tmp_path / "model")):
        np.testing.assert_array_equal(fitted.predict_proba(tables), model.predict_proba([ONE, TWO]))
        with pytest.raises(ValueError, match=r"X\[0\] must have the columns \['x', 'y'\] in this order"):
            fitted.predict([Table(ONE, ("y", "x"))])


def test_numbers_that_are_too_large_are_refused():
    X = np.random.RandomState(0).randn(6, 3, 2)
    model = RNNClassifier(**options()).fit(X, [0, 1] * 3)
    far = X.copy()
    far[4, 1, 0] = 1e300
    with pytest.raises(ValueError, match=r"X\[4\] must have numbers near those of the training, got 1e\+300 at step 1"):
        model.predict_proba(far)
    with pytest.raises(ValueError, match=r"X must have numbers whose squares are finite, got 1e\+300"):
        RNNClassifier(**options()).fit(far, [0, 1] * 3)
    with pytest.raises(ValueError, match=r"y must have numbers whose squares are finite, got 1e\+300"):
        RNNRegressor(**options()).fit(X, [1e300, -1e300] * 3)


def test_one_series_and_no_series():
    X = np.random.RandomState(0).randn(6, 3, 2)
    model = RNNClassifier(**options()).fit(X, [0, 1] * 3)
    with pytest.raises(ValueError, match=r"got \(2, 1\): put a single series into a list, \[X\]"):
        model.predict(X[0])
    assert model.predict_proba([X[0]]).shape == (1, 2)
    assert model.predict_proba([]).shape == (0, 2)


def test_series_in_every_form_are_the_same():
    values = np.random.RandomState(0).randn(20, 6)
    model = recurrent(input="series").fit(values, Y[:20])
    expected = model.predict_proba(values)
    for form in (values[:, :, None], list(values), list(values[:, :, None]), values.tolist()):
        np.testing.assert_array_equal(model.predict_proba(form), expected)
    assert model.n_features_in_ == 1
    assert not hasattr(model, "vocabulary_")


def test_series_are_standardised_by_the_training_data():
    X, y = series()
    first = recurrent(input="series").fit(X, y)
    scaled = recurrent(input="series").fit([1e4 * part - 7 for part in X], y)
    np.testing.assert_allclose(first.predict_proba(X), scaled.predict_proba([1e4 * p - 7 for p in X]), atol=1e-4)
    assert first.score(*series(seed=1)) > 0.9
