"""Labels of every kind, and what is no label."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning

from fastrnn import MeanEmbeddingClassifier, RNNClassifier, RNNRegressor

TEXTS = ["a good film", "a bad film"] * 8
TIMES = 8  # that the labels below are repeated


def averaging(**options):
    return MeanEmbeddingClassifier(**{"embedding_size": 4, "n_buckets": 10, "learning_rate_init": 0.1,
                                      "max_iter": 10, "random_state": 0, **options})  # fmt: skip


class Series:
    """A column of a table, which is neither a list nor an array."""

    def __init__(self, values, dtype):
        self.values, self.dtype = values, dtype

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype or self.dtype)


def repeated(y):
    """Return labels for all texts."""
    if isinstance(y, Series):
        return Series(y.values * TIMES, y.dtype)
    if isinstance(y, list):
        return y * TIMES
    return y[np.arange(len(y) * TIMES) % len(y)]


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([True, False], np.array([False, True])),
        ([1, 0], np.array([0, 1])),
        (np.array([1, 0], np.uint8), np.array([0, 1], np.uint8)),
        (np.array([1, 0], ">i4"), np.array([0, 1], ">i4")),
        ([2.0, -1.0], np.array([-1.0, 2.0])),
        ([1, 0.0], np.array([0.0, 1.0])),
        (["1", "0"], np.array(["0", "1"])),
        (["true", "false"], np.array(["false", "true"])),
        (["nan", ""], np.array(["", "nan"])),
        (np.array(["b", "a"], object), np.array(["a", "b"], object)),
        (np.array([True, False], object), np.array([False, True])),
        (np.array([7, 5], object), np.array([5, 7])),
        ([np.str_("b"), "a"], np.array(["a", "b"])),
        (Series(["b", "a"], object), np.array(["a", "b"], object)),
        (Series([3, 1], np.int64), np.array([1, 3])),
        (np.array(["2020-01-02", "2020-01-01"], "M8[D]"), np.array(["2020-01-01", "2020-01-02"], "M8[D]")),
        (np.ma.array([1, 0]), np.array([0, 1])),
        ([np.array(1), np.array(0)], np.array([0, 1])),
    ],
)
def test_labels_of_every_type_come_back_from_a_file(y, classes, tmp_path):
    y = repeated(y)
    model = averaging().fit(TEXTS, y)
    model.save(tmp_path / "model")
    for again in (model, MeanEmbeddingClassifier.load(tmp_path / "model")):
        assert again.classes_.dtype == classes.dtype
        assert again.classes_.tolist() == classes.tolist()
        assert [type(label) for label in again.classes_.tolist()] == [type(label) for label in classes.tolist()]
        predicted = again.predict(TEXTS)
        assert predicted.dtype == classes.dtype
        assert predicted.tolist() == classes[[1, 0] * TIMES].tolist()
        assert again.score(TEXTS, y) == 1.0


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs NumPy 2")
def test_strings_of_variable_width():
    y = np.array(["pos", "negative"] * TIMES, np.dtypes.StringDType())
    model = averaging().fit(TEXTS, y)
    assert model.predict(TEXTS[:2]).tolist() == ["pos", "negative"]
    assert model.score(TEXTS, y) == 1.0
    missing = np.array(["pos", None] * TIMES, np.dtypes.StringDType(na_object=None))
    with pytest.raises(ValueError, match="y holds None at row 1"):
        averaging().fit(TEXTS, missing)


@pytest.mark.parametrize(
    ("classes", "others"),
    [(["0", "1"], [0, 1]), ([0, 1], ["0", "1"]), ([False, True], ["False", "True"]), ([1.0, 2.0], ["1.0", "2.0"])],
)
def test_a_number_is_not_the_string_that_looks_like_it(classes, others):
    model = averaging().fit(TEXTS, classes * TIMES)
    for call in (lambda: model.partial_fit(TEXTS, others * TIMES),
                 lambda: averaging().fit(TEXTS, classes * TIMES, X_val=TEXTS, y_val=others * TIMES)):  # fmt: skip
        with pytest.raises(ValueError, match=r"y contains .* at row 0, which is not among the classes"):
            call()
    with pytest.raises(ValueError):
        model.score(TEXTS, others * TIMES)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None], "y holds None at row 1: leave out the sequences that have none"),
        (["a", float("nan")], "y holds NaN at row 1"),
        ([1.0, np.nan], "y holds NaN at row 1"),
        (np.array([1.0, np.nan]), "y holds NaN at row 1"),
        (np.array(["a", np.float64("nan")], object), "y holds NaN at row 1"),
        ([1, np.inf], "y holds inf at row 1"),
        (np.array(["2020-01-01", "NaT"], "M8[D]"), "y holds NaT at row 1"),
        (np.ma.array([0, 1], mask=[False, True]), "y has masked values"),
        ([10**30, 10**30 + 1], r"y holds 10+ at row 0, which no array holds: give other labels"),
        ([-1, 2**63, 2**63 + 1], r"y holds 9223372036854775809 at row 2, which no array holds"),
        (["a", "a\0"], r"y holds 'a\\x00' at row 1, which no array holds"),
        ([1, "a"], "y must have labels of one type, got 'a' at row 1 and 1 at row 0"),
        ([np.str_("a"), np.int64(1)], "got 'a' at row 0 and 1 at row 1"),
        ([b"a", b"b"], r"y must be one label .*, got b'a' at row 0\."),
        (np.array([b"a", b"b"]), r"y must be one label .*, got b'a' at row 0\."),
        ([0.5, 1.5], "Unknown label type: continuous"),
        (np.array([["a", "b"], ["b", "a"]]), r"y must be one label .*, got an array of shape \(16, 2\)"),
        (np.array([[2, 3], [3, 2]]), "an indicator matrix .* of 0 and 1, got a matrix with 2"),
        (np.array([[-1, 1], [1, -1]]), "an indicator matrix .* of 0 and 1, got a matrix with -1"),
        ([[1, 0], [0.5, 0]], "y must be one label .*, got an array of shape"),
        ([[1, 0], [1, np.nan]], "y holds NaN at row 1"),
    ],
)
def test_wrong_labels_are_named(y, message):
    y = repeated(y)
    with pytest.raises(ValueError, match=message):
        averaging().fit(TEXTS, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, None], "y holds None at row 1: leave out the sequences that have none"),
        ([1.0, float("nan")], "y holds NaN at row 1"),
        (np.array([[1.0, 2.0], [np.inf, 1.0]]), "y holds inf at row 1"),
        (np.ma.array([0, 1], mask=[False, True]), "y has masked values"),
        ([1.0, "a"], "y must be numbers, as many for each sequence, got 'a' at row 1"),
        (np.array(["1.5", "2.5"]), "y must be numbers, as many for each sequence, got '1.5' at row 0"),
        ([[1.0, 2.0], [1.0]], r"y must be numbers, as many for each sequence, got \[1.0, 2.0\] at row 0"),
        ({1: 2.0}, "y must be a list or an array of numbers, got"),
    ],
)
def test_wrong_numbers_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        RNNRegressor(hidden_size=3, max_iter=1).fit(["a", "b"], y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ma.array([1, 2], mask=[False, True]), "sample_weight has masked values"),
        (["a", "b"], r"sample_weight must be numbers, got \['a', 'b'\]"),
        ([1.0, None], "sample_weight must be finite"),
    ],
)
def test_wrong_weights_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        averaging().fit(["a", "b"], [0, 1], sample_weight=weight)
    with pytest.raises(ValueError, match="class_weight leaves no example of X_val"):
        averaging(class_weight={0: 0}).fit(["a", "b"], [0, 1], X_val=["a"], y_val=[0])


@pytest.mark.parametrize("y", ["ab" * TIMES, {"a": 1}, {"a", "b"}, iter([0, 1] * TIMES), 5])
def test_what_is_no_list_of_labels_is_named(y):
    with pytest.raises(ValueError, match="y must be a list or an array of labels, got"):
        averaging().fit(TEXTS, y)


@pytest.mark.parametrize("y", [{"a": 1}, {1.0, 2.0}, "1"])
def test_what_is_no_list_of_numbers_is_named(y):
    with pytest.raises(ValueError, match="y must be a list or an array of numbers, got"):
        RNNRegressor("rnn", 4, 4, bidirectional=False).fit(TEXTS, y)


def test_a_column_is_flattened_with_one_warning_in_the_name_of_the_caller():
    y = np.array([[0], [1]] * TIMES)
    with pytest.warns(DataConversionWarning, match="column-vector") as warned:
        model = averaging(max_iter=1).fit(TEXTS, y)
    assert [warning.filename for warning in warned] == [__file__]
    assert model.classes_.tolist() == [0, 1]


def test_classes_that_may_come_are_checked_like_labels():
    for classes, message in ([0], "classes holds one only, 0"), ([0, None], "classes holds None at row 1"):
        with pytest.raises(ValueError, match=message):
            averaging().partial_fit(TEXTS, [0, 1] * TIMES, classes=classes)


# ------------------------------------------------------------------------------------------------- labels of the steps

STEPS = 4


def recurrent(**options):
    return RNNClassifier(**{"cell": "gru", "hidden_size": 5, "embedding_size": 4, "max_iter": 1, "random_state": 0,
                            "input": "series", **options})  # fmt: skip


def test_labels_of_steps_are_refused():
    X = np.random.RandomState(0).randn(8, STEPS, 2)
    y = np.arange(8 * STEPS).reshape(8, STEPS) % 2
    for given in (y, y.tolist(), y.astype(bool)):
        with pytest.raises(ValueError, match=r"y has shape \(8, 4\), a column for each step .* steps are not"):
            recurrent().fit(X, given)
    with pytest.raises(ValueError, match=r"y has shape \(8, 4\), a column for each step"):
        recurrent(max_length=2).fit(X, y)
    with pytest.raises(ValueError, match=r"y must be one label .*, got an array of shape \(8, 4\)"):
        recurrent().fit(X, y + np.arange(8)[:, None])


def test_labels_of_steps_are_refused_with_series_of_many_lengths():
    lengths = [3, 4, 3, 4]
    X = [np.arange(2.0 * n).reshape(n, 2) for n in lengths]
    with pytest.raises(ValueError, match=r"got \[1, 1, 1\] at row 0; labels of the steps of a sequence are not"):
        recurrent().fit(X, [[1] * n for n in lengths])
    padded = np.array([[1, 0, 1, 0], [0, 1, 0, 1]] * 2)  # a padded label behind the end of each short series
    with pytest.raises(ValueError, match=r"y has shape \(4, 4\), a column for each step"):
        recurrent().fit(X, padded)
    with pytest.raises(ValueError, match=r"y has shape \(4, 4\), a column for each step"):
        recurrent(input="tokens").fit([[str(i) for i in range(n)] for n in lengths], padded)


def test_an_indicator_matrix_that_looks_like_labels_of_steps_can_be_given():
    X = np.random.RandomState(0).randn(8, STEPS, 2)
    y = np.arange(8 * STEPS).reshape(8, STEPS) % 2
    for given in (scipy.sparse.csr_matrix(y), scipy.sparse.lil_array(y)):
        assert recurrent().fit(X, given).predict_proba(X).shape == (8, STEPS)
    assert recurrent().fit(X, y[:, :3]).classes_.tolist() == [0, 1, 2]
    ragged = [X[0], *(part[:2] for part in X[1:])]
    assert recurrent().fit(ragged, np.ones((8, STEPS), int)).n_outputs_ == STEPS  # labels stand behind the ends
    assert averaging(max_iter=1).fit(["a b c", "c b a"], [[1, 0, 1], [0, 1, 0]]).n_outputs_ == 3
    forecast = RNNRegressor("gru", hidden_size=5, input="series", max_iter=1, random_state=0).fit(X, y + 0.5)
    assert forecast.predict(X).shape == (8, STEPS)


@pytest.mark.parametrize(("shape", "swapped"), [((5, 8, 2), True), ((5, 8), True), ((5, 7, 2), False)])
def test_the_first_axis_is_that_of_the_series(shape, swapped):
    with pytest.raises(ValueError, match=r"numbers of samples: \[5, 8\]\.") as error:
        recurrent().fit(np.random.RandomState(0).randn(*shape), [0, 1] * 4)
    assert (f"X has shape {shape}: swap its first two axes" in str(error.value)) == swapped


# -------------------------------------------------------------------------------------------------- weights of classes


@pytest.mark.parametrize(
    ("weights", "classes", "message"),
    [
        ({"good": 2}, [0, 1], r"class_weight must have classes as keys: 'good' is not among \[0, 1\]"),
        ({"1": 2}, [0, 1], r"'1' is not among \[0, 1\]"),
        ({1: 2}, ["0", "1"], r"1 is not among \['0', '1'\]"),
        ({"1": 2}, [False, True], r"'1' is not among \[False, True\]"),
        ({1: 2, 2: 3}, [0, 1], r"2 is not among \[0, 1\]"),
        ({1: -1}, [0, 1], r"class_weight\[1\] must be a number of at least 0, got -1"),
        ({1: "much"}, [0, 1], r"class_weight\[1\] must be a number of at least 0, got 'much'"),
        ({0: 0, 1: 0}, [0, 1], "leave no example with a weight above 0"),
        ("balance", [0, 1], "got 'balance': did you mean 'balanced'"),
        ([1, 2], [0, 1], r"class_weight must be None, 'balanced' or a dict .*, got \[1, 2\]\."),
    ],
)
def test_wrong_weights_of_classes_are_named(weights, classes, message):
    with pytest.raises(ValueError, match=message):
        averaging(class_weight=weights).fit(TEXTS, classes * TIMES)


@pytest.mark.parametrize(
    ("weights", "classes"),
    [({"1": 9}, ["0", "1"]), ({np.str_("1"): 9}, ["0", "1"]), ({True: 9}, [False, True]), ({1: 9}, [0, 1]),
     ({np.int64(1): np.float32(9)}, [0, 1]), ({0: 1, 1: 9, 2: 5}, [0, 1])],
)  # fmt: skip
def test_weights_of_classes_as_a_dict(weights, classes, tmp_path):
    model = averaging(class_weight=weights, max_iter=40).fit(["film"] * 16, classes * TIMES)
    assert model.predict_proba(["film"])[0, 1] > 0.75
    model.save(tmp_path / "model")
    assert MeanEmbeddingClassifier.load(tmp_path / "model").class_weight == weights
