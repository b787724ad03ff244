"""Vectors and sets of vectors as captioners read them."""

import numpy as np
import pytest
import scipy.sparse

from fastrnn.translation.features import FeatureReader

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.standard_normal((6, 3)) * [1, 10, 0] + [0, 5, 2]
SETS = [RANDOM.standard_normal((n, 3)) for n in (2, 0, 4)]


class Table:
    """Stands in for a data frame of numbers."""

    columns = property(lambda self: self.names)

    def __init__(self, values, names):
        self.values, self.names = values, names

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def test_a_matrix_is_standardised():
    reader, sequences = FeatureReader.learn(MATRIX)
    assert (reader.n_features, reader.has_regions, sequences.lengths.tolist()) == (3, False, [1] * 6)
    expected = (MATRIX - MATRIX.mean(axis=0)) / np.append(MATRIX.std(axis=0)[:2], 1)
    np.testing.assert_allclose(sequences.values, expected, rtol=1e-6, atol=1e-6)
    for again in (MATRIX.tolist(), iter(MATRIX), MATRIX.astype("f4").astype(object)):
        np.testing.assert_allclose(reader.read(again).values, sequences.values, rtol=1e-5, atol=1e-6)


def test_sets_of_regions():
    reader, sequences = FeatureReader.learn(SETS)
    assert (reader.has_regions, sequences.lengths.tolist()) == (True, [2, 0, 4])
    vectors = np.concatenate(SETS)
    np.testing.assert_allclose(sequences.values, (vectors - vectors.mean(0)) / vectors.std(0), rtol=1e-5, atol=1e-6)
    lists = reader.read([part.tolist() for part in SETS])
    np.testing.assert_array_equal(lists.values, sequences.values)
    array = RANDOM.standard_normal((2, 5, 3))
    assert reader.read(array).lengths.tolist() == [5, 5]
    np.testing.assert_array_equal(reader.read(array).values, reader.read(list(array)).values)
    assert len(reader.read([])) == 0


def test_what_a_file_keeps():
    for X in (MATRIX, SETS):
        reader, sequences = FeatureReader.learn(X)
        content, arrays = reader.get_learned()
        again = FeatureReader.from_learned(content, arrays).read(X)
        np.testing.assert_array_equal(again.values, sequences.values)
        np.testing.assert_array_equal(again.offsets, sequences.offsets)


def test_tables_keep_their_columns():
    table = Table(MATRIX, ["a", "b", "c"])
    reader, sequences = FeatureReader.learn(table)
    np.testing.assert_array_equal(reader.read(table).values, sequences.values)
    with pytest.raises(ValueError, match=r"X must have the columns \['a', 'b', 'c'\] in this order, got \['b', 'a'"):
        reader.read(Table(MATRIX[:, [1, 0, 2]], ["b", "a", "c"]))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("a text", r"X must be an array \(n, D\) of numbers, or region vectors: .*, got 'a text'"),
        (None, r"X must be an array \(n, D\) of numbers, or region vectors: .*, got None"),
        ([[1.0], [1.0, 2.0]], r"X must be an array \(n, D\) of numbers, or region vectors: .*, got \[\["),
        ({"a": 1}, r"X must be an array \(n, D\) of numbers"),
        ([], "X holds no numbers"),
        (np.empty((0, 3)), "X holds no numbers"),
        ([np.empty((0, 3))], "X holds no numbers"),
        ([[1.0, np.nan]], "Input X contains NaN"),
        ([np.array([[1.0], [np.nan]]), np.ones((1, 1))], r"X\[0\] must be finite, got NaN in region 1: fill or drop"),
        ([np.array([[1.0], [np.inf]]), np.ones((1, 1))], r"X\[0\] must be finite, got infinity in region 1"),
        ([np.ones((2, 3)), np.ones((2, 4))], r"X\[1\] must have shape \(R, 3\) as the others have, got \(2, 4\)"),
        ([np.ones((2, 3)), np.ones(3)], r"X\[1\] must be an array \(R, D\) of numbers, got an array of shape \(3,\)"),
        ([np.ones((2, 3)), [["a"]]], r"X\[1\] must be an array \(R, D\) of numbers, got \[\['a'\]\]"),
        (np.ones((2, 2, 2, 2)), r"got an array of shape \(2, 2, 2, 2\)"),
        ([[1e300], [-1e300]], "X must have numbers whose squares are finite"),
        (scipy.sparse.eye(3).tocsr(), "Sparse data was passed"),
    ],
)
def test_what_is_refused(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        FeatureReader.learn(X)


def test_what_does_not_fit_the_training():
    matrix, sets = FeatureReader.learn(MATRIX)[0], FeatureReader.learn(SETS)[0]
    with pytest.raises(ValueError, match=r"X must be an array \(n, D\) as in the training, got \["):
        matrix.read(SETS)
    with pytest.raises(ValueError, match=r"X must be region vectors, .* as in the training, got an array"):
        sets.read(MATRIX)
    with pytest.raises(ValueError, match="X must have 3 features as in the training, got 2"):
        matrix.read(MATRIX[:, :2])
    with pytest.raises(ValueError, match=r"X\[0\] must have shape \(R, 3\) as the others have, got \(2, 1\)"):
        sets.read([np.ones((2, 1)), np.ones((2, 3))])
    with pytest.raises(ValueError, match=r"X\[1\] must have numbers near those of the training, got 1e\+300"):
        matrix.read([[0, 0, 0], [1e300, 0, 0]])
