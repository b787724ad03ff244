"""Estimators that write sequences among scikit-learn's tools, and what all of them share."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastrnn import RNNTranslator
from fastrnn.estimators.sequences import Sequences
from fastrnn.text.batching import IGNORED
from fastrnn.text.tokens import END_ID, START_ID
from fastrnn.translation.pairs import Pairs
from fastrnn.utils.ragged import offsets_of

X = ["a b", "b a c", "c", "a a", "b", "c b a"]
Y = [text.upper()[::-1] for text in X]
SMALL = {"embedding_size": 5, "hidden_size": 8, "max_iter": 2, "n_jobs": 1, "random_state": 0}


def pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, n), rng.integers(1, 9, n)
    sources, targets = (Sequences(np.arange(part.sum(), dtype=np.int32), offsets_of(part)) for part in lengths)
    return Pairs(sources, targets, np.ones(n, np.float32), np.arange(n))


def test_the_tools_of_scikit_learn():
    model = RNNTranslator(**SMALL)
    assert clone(model).get_params() == model.get_params()
    assert np.isfinite(cross_val_score(model, X, Y, cv=2)).all()
    search = GridSearchCV(model, {"attention": ["dot", None]}, cv=2).fit(X, Y)
    assert len(search.best_estimator_.predict(X)) == len(X)
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), model).fit(X, Y)
    assert pipeline.predict([text.upper() for text in X]) == pipeline[-1].predict(X)
    assert pipeline.score(X, Y) == pipeline[-1].score(X, Y)


def test_a_pickle_says_the_same():
    model = RNNTranslator(**SMALL, share_vocabulary=True, tie_weights=True).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(X, Y), model.score_samples(X, Y))
    for each in (model, again):
        each.partial_fit(X, Y)
    np.testing.assert_array_equal(again.score_samples(X, Y), model.score_samples(X, Y))


def test_arrays_of_strings_are_texts():
    model = RNNTranslator(**SMALL)
    expected = model.fit(X, Y).score_samples(X, Y)
    for kind in (str, object):
        given = np.array(X, kind), np.array(Y, kind)
        np.testing.assert_array_equal(model.fit(*given).score_samples(*given), expected)
        assert {type(text) for text in model.predict(given[0])} == {str}


def test_lines_of_files_are_texts(tmp_path):
    for name, texts in (("x", X), ("y", Y)):
        (tmp_path / name).write_text("\n".join(texts))
    files = tmp_path / "x", tmp_path / "y"
    model = RNNTranslator(**SMALL).fit(*files)
    np.testing.assert_array_equal(model.score_samples(*files), RNNTranslator(**SMALL).fit(X, Y).score_samples(X, Y))


def test_an_untrained_model_says_so():
    for method, arguments in (("predict", [X]), ("transform", [X]), ("align", [X]), ("score", [X, Y])):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(RNNTranslator(), method)(*arguments)


def test_parameters_that_only_a_fit_can_change_are_stored_as_they_were(tmp_path):
    model = RNNTranslator(**SMALL, tokenizer="chars").fit(X, Y)
    expected = model.score_samples(X, Y)
    model.set_params(tokenizer="words", hidden_size=9, bidirectional=False).save(tmp_path / "model")
    again = RNNTranslator.load(tmp_path / "model")
    assert (again.tokenizer, again.hidden_size, again.bidirectional) == ("chars", 8, True)
    np.testing.assert_array_equal(again.score_samples(X, Y), expected)


def test_a_batch_shifts_targets_behind_the_start():
    targets = Sequences(np.array([5, END_ID, END_ID], np.int32), np.array([0, 2, 3]))
    batch = Pairs(targets, targets, np.ones(2, np.float32), np.arange(2)).batch(np.array([1, 0]))
    np.testing.assert_array_equal(batch.inputs, [[START_ID, START_ID], [0, 5]])
    np.testing.assert_array_equal(batch.targets, [[END_ID, 5], [IGNORED, END_ID]])
    assert batch.lengths.tolist() == [1, 2]


@pytest.mark.parametrize(("n", "expected"), [(10, 16), (810, 16), (1000, 20), (3200, 64), (29_000, 64)])
def test_the_size_of_batches_grows_with_the_data(n, expected):
    model = RNNTranslator()
    groups = model._groups(pairs(n), np.arange(n), np.random.RandomState(0))
    assert max(map(len, groups)) == min(n, expected)
    assert model._size_of_batches(n) == expected
    assert model.set_params(batch_size=7)._size_of_batches(n) == 7


@pytest.mark.parametrize("seed", [None, 1])
def test_every_pair_is_in_one_batch(seed):
    every = pairs(500)
    rng = None if seed is None else np.random.RandomState(seed)
    groups = every.groups(np.arange(0, 500, 2), 8, rng)
    assert max(map(len, groups)) == 8
    assert sorted(np.concatenate(groups)) == list(range(0, 500, 2))


def test_batches_have_similar_lengths_and_differ_from_epoch_to_epoch():
    every, rng = pairs(500), np.random.RandomState(0)
    first, second = (every.groups(every.rows, 8, rng) for _ in range(2))
    assert {tuple(sorted(group)) for group in first} != {tuple(sorted(group)) for group in second}
    lengths = every.targets.lengths
    padded, full = (sum(len(group) * most(lengths[group]) for group in first) for most in (max, np.mean))
    assert padded < 1.2 * full


def test_batches_of_very_long_sequences_are_small():
    offsets = offsets_of([20_000] * 4 + [1] * 4)
    long = Sequences(np.zeros(offsets[-1], np.int32), offsets)
    short = Sequences(np.full(8, END_ID, np.int32), np.arange(9))
    for each in (Pairs(long, short, np.ones(8), np.arange(8)), Pairs(short, long, np.ones(8), np.arange(8))):
        assert sorted(map(len, each.groups(each.rows, 8))) == [1, 1, 1, 1, 4]
    for length, expected in ((2048, [4]), (4096, [1, 1, 1, 1])):  # weights of attention grow with its square
        long = Sequences(np.zeros(4 * length, np.int32), np.arange(5) * length)
        each = Pairs(long, long, np.ones(4), np.arange(4))
        assert list(map(len, each.groups(each.rows, 4))) == expected
