"""Series with labels, several labels or numbers for each step; predictions step by step, and series that are drawn."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_validate

from fastrnn import RNNStepRegressor, RNNTagger, load
from fastrnn.tagging import next_step_examples

RANDOM = np.random.default_rng(0)
X = [RANDOM.standard_normal((n, 2)) for n in [*RANDOM.integers(1, 9, size=40), 0]]
TAGS = [np.where(part[:, 0].cumsum() > 0, "up", "down") for part in X]
LABELS = [np.stack([part[:, 0] > 0, part[:, 1].cumsum() > 0, part[:, 0] > part[:, 1]], axis=1) for part in X]
SUMS = [part.cumsum(axis=0) for part in X]
OPTIONS = {"cell": "gru", "hidden_size": 8, "dropout": 0.0, "learning_rate_init": 0.02, "max_iter": 12, "batch_size": 8,
           "random_state": 0, "n_jobs": 1, "bidirectional": False}  # fmt: skip


def tagger(**options):
    return RNNTagger(**{**OPTIONS, "input": "series", **options})


@pytest.fixture(scope="module")
def several():
    return tagger().fit(X, LABELS)


@pytest.fixture(scope="module")
def regressor():
    return RNNStepRegressor(**OPTIONS).fit(X, SUMS)


# ------------------------------------------------------------------------------------------------------ several labels


def test_several_labels_for_each_step(several, tmp_path):
    predicted, p = several.predict(X), several.predict_proba(X)
    right = [(part == labels).all(axis=1) for part, labels in zip(predicted, LABELS, strict=True)]
    assert 0.5 < several.score(X, LABELS) == pytest.approx(np.concatenate(right).mean())
    weights = RANDOM.random(len(X))
    expected = np.average(np.concatenate(right), weights=np.repeat(weights, [len(part) for part in X]))
    assert several.score(X, LABELS, weights) == pytest.approx(expected)
    for part, q, logits in zip(predicted, p, several.decision_function(X), strict=True):
        assert part.dtype == np.int64
        assert q.shape == part.shape == logits.shape
        np.testing.assert_array_equal(part, q > 0.5)
        np.testing.assert_allclose(q, 1 / (1 + np.exp(-logits)))
    several.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X[:1])[0], p[0])
    assert several.classes_.tolist() == [0, 1, 2]


def test_validation_with_several_labels_is_by_the_loss(several):
    model = clone(several).set_params(max_iter=2).fit(X, LABELS, X_val=X, y_val=LABELS)
    p = np.concatenate(model.predict_proba(X))
    chosen = np.where(np.concatenate(LABELS), p, 1 - p)
    assert max(model.validation_scores_) == pytest.approx(np.log(chosen).sum(axis=1).mean(), rel=1e-4)


def test_arrays_of_equal_lengths_are_several_labels_too():
    series = RANDOM.standard_normal((12, 5, 1))
    labels = np.concatenate([series > 0, series < 1], axis=2).astype(int)
    model = tagger(max_iter=1).fit(series, labels)
    assert model.predict(series[:1])[0].shape == (5, 2)
    assert clone(model).fit(series, labels.tolist()).loss_curve_ == model.loss_curve_


def test_tokens_may_have_several_labels():
    words = [["a", "b"], [], ["c"]] * 8
    y = [np.array([[word == "a", word < "c"] for word in sentence], int).reshape(-1, 2) for sentence in words]
    model = RNNTagger(**{**OPTIONS, "embedding_size": 6, "char_encoder": None, "max_iter": 60}).fit(words, y)
    for found, labels in zip(model.predict(words[:3]), y, strict=False):
        np.testing.assert_array_equal(found, labels)


def test_a_training_with_several_labels_begins_with_their_rates():
    y = [np.stack([part[:, 0] > 1.5, part[:, 0] > -1, part[:, 0] > 9], axis=1) for part in X]
    steps = np.concatenate(y)
    model = tagger(learning_rate_init=1e-9, max_iter=1).fit(X, y)
    expected = (steps.sum(axis=0) + 0.5) / (len(steps) + 1)
    np.testing.assert_allclose(np.concatenate(model.predict_proba(X)).mean(axis=0), expected, rtol=0.05)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            [*LABELS[:3], LABELS[3] * 2, *LABELS[4:]],
            r"0 and 1 for each of several labels, got 2.0 at step \d of y\[3\]",
        ),
        ([*LABELS[:3], LABELS[3][:, :2], *LABELS[4:]], r"y\[3\] must have 3 columns, got 2"),
        ([*LABELS[:3], LABELS[3][:-1], *LABELS[4:]], r"X\[3\] has \d steps and y\[3\]"),
        ([*LABELS[:3], np.where(LABELS[3], np.nan, 0), *LABELS[4:]], r"y\[3\] must be finite, got NaN at step \d"),
        ([*LABELS[:3], TAGS[3], *LABELS[4:]], r"y\[3\] must be an array"),
    ],
)
def test_bad_indicators_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        tagger().fit(X, y)


def test_several_labels_have_no_class_weight():
    with pytest.raises(ValueError, match="class_weight must be None"):
        tagger(class_weight="balanced").fit(X, LABELS)


@pytest.mark.parametrize(("y", "padding"), [(TAGS, ""), (LABELS, False), (SUMS, np.nan)])
def test_labels_of_padding_are_left_out(y, padding):
    """X and y as arrays, all series as long as the longest."""
    model = RNNStepRegressor(**OPTIONS) if y is SUMS else tagger()
    model.set_params(max_iter=1)
    plain = clone(model).fit(X, y, X_val=X, y_val=y)
    model.set_params(missing="pad").fit(padded(X, np.nan), padded(y, padding), X_val=X, y_val=y)
    assert model.score(padded(X, np.nan), padded(y, padding)) == plain.score(X, y)
    further = model.partial_fit(padded(X, np.nan), padded(y, padding))
    assert further.loss_curve_ == plain.partial_fit(X, y).loss_curve_


def padded(parts, value):
    longest = max(map(len, parts))
    return np.array([np.concatenate([part, np.full((longest - len(part), *part.shape[1:]), value)]) for part in parts])


# ------------------------------------------------------------------------------------------------------------- numbers


def test_numbers_for_each_step(regressor, tmp_path):
    predicted = regressor.predict(X)
    assert [part.shape for part in predicted] == [part.shape for part in SUMS]
    expected = r2_score(np.concatenate(SUMS), np.concatenate(predicted))
    assert 0.8 < regressor.score(X, SUMS) == pytest.approx(expected)
    np.testing.assert_array_equal(regressor.predict(X[3:4])[0], predicted[3])
    regressor.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(X[:1])[0], predicted[0])


def test_a_number_for_each_step_without_an_axis_of_its_own(regressor):
    y, scale = [part[:, 0] for part in SUMS], 1000
    one = clone(regressor).set_params(max_iter=3).fit(X, y)
    large = clone(one).fit(X, [scale * part + 5 for part in y])
    assert one.predict(X[:1])[0].shape == y[0].shape
    np.testing.assert_allclose(large.predict(X[:1])[0], scale * one.predict(X[:1])[0] + 5, rtol=1e-3, atol=0.1)
    weights = np.arange(len(X))
    steps = np.repeat(weights, [len(part) for part in X])
    expected = r2_score(np.concatenate(y), np.concatenate(one.predict(X)), sample_weight=steps)
    assert one.score(X, y, sample_weight=weights) == pytest.approx(expected)


@pytest.mark.parametrize("missing", ["error", "pad"])
def test_iterators_are_read_once(regressor, missing):
    for model, y in ((regressor, SUMS), (tagger(), TAGS)):
        model = clone(model).set_params(max_iter=1, missing=missing)
        expected = clone(model).fit(X, y).predict_proba(X) if y is TAGS else clone(model).fit(X, y).predict(X)
        model.fit(iter(X), iter(y), X_val=iter(X), y_val=iter(y))
        found = model.predict_proba(iter(X)) if y is TAGS else model.predict(iter(X))
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert model.score(iter(X), iter(y)) == model.score(X, y)
        assert model.partial_fit(iter(X), iter(y)).n_iter_ == 2


def test_no_numbers_have_no_score(regressor):
    with pytest.raises(ValueError, match="R² of no steps"):
        regressor.score([X[0][:0]], [SUMS[0][:0]])


def test_regressors_are_cloned_trained_further_and_cross_validated(regressor):
    model = clone(regressor).set_params(max_iter=1)
    assert cross_validate(model, X, SUMS, cv=3)["test_score"].shape == (3,)
    model.partial_fit(X, SUMS).partial_fit(X, SUMS)
    assert model.n_iter_ == 2
    assert model.loss_curve_[1] < model.loss_curve_[0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (TAGS, r"y\[0\] must be an array .* of numbers"),
        ([*SUMS[:3], SUMS[3][:-1], *SUMS[4:]], r"X\[3\] has \d steps and y\[3\]"),
        ([*SUMS[:3], SUMS[3][:, 0], *SUMS[4:]], r"y\[3\] must have 2 dimensions like the others"),
        ([*SUMS[:3], SUMS[3] * np.inf, *SUMS[4:]], r"y\[3\] must be finite, got infinity at step 0"),
        (SUMS[:-1], r"inconsistent numbers of samples: \[41, 40\]"),
        ([np.empty((0, 2))] * len(X), "y holds no numbers"),
        (None, "requires y to be passed"),
    ],
)
def test_bad_numbers_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        RNNStepRegressor(**OPTIONS).fit(X, y)


@pytest.mark.parametrize("truncation", ["end", "start"])
@pytest.mark.parametrize("y", [LABELS, SUMS])
def test_targets_are_cut_as_the_series_are(y, truncation):
    model = (RNNStepRegressor(**OPTIONS) if y is SUMS else tagger()).set_params(max_iter=2, truncation=truncation)
    part = slice(3) if truncation == "end" else slice(-3, None)
    cut = clone(model).set_params(max_length=3).partial_fit([series[:3] for series in X], [v[:3] for v in y])
    with pytest.warns(UserWarning, match="longer than max_length"):
        cut.partial_fit(X, y)
    expected = clone(model).partial_fit([series[:3] for series in X], [v[:3] for v in y])
    expected.partial_fit([series[part] for series in X], [values[part] for values in y])
    assert cut.loss_curve_ == expected.loss_curve_
    assert len(cut.predict(X[:1])[0]) == len(X[0]) > 3


# -------------------------------------------------------------------------------------------------------- step by step


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("y", [TAGS, LABELS, SUMS, [part[:, 0] for part in SUMS]])
def test_single_steps_predict_what_the_whole_series_does(y, cell):
    is_tagger = y is TAGS or y is LABELS
    options = {"cell": cell, "max_iter": 1}
    model = (tagger(**options) if is_tagger else RNNStepRegressor(**{**OPTIONS, **options})).fit(X, y)
    expected = model.predict(X[:4])
    for i, series in enumerate(X[:4]):
        state, predicted = model.initial_state(), []
        for t, x in enumerate(series):
            prediction, state = model.advance(state, x)
            predicted.append(prediction)
            if is_tagger:
                np.testing.assert_allclose(state.probabilities, model.predict_proba(X[i : i + 1])[0][t], rtol=1e-12)
        np.testing.assert_array_equal(predicted, expected[i])


def test_a_crf_predicts_the_most_probable_label_given_the_steps_so_far():
    model = tagger(output="crf").fit(X, TAGS)
    end = model.network_.head.crf.parameters["end_transitions"]
    model.network_.held_weights().drop()
    end[...] = 0
    state = model.initial_state()
    for n, x in enumerate(X[1], start=1):
        label, state = model.advance(state, x)
        p = model.predict_proba([X[1][:n]])[0][-1]
        np.testing.assert_allclose(state.probabilities, p, rtol=1e-10)
        assert label == model.classes_[p.argmax()]


def test_tokens_are_read_one_by_one():
    words = [[f"w{n}" for n in RANDOM.integers(6, size=length)] for length in (3, 5, 2, 7)] * 5
    y = [["odd" if word[-1] in "135" else "even" for word in sentence] for sentence in words]
    model = RNNTagger(**{**OPTIONS, "embedding_size": 6, "char_hidden_size": 4, "output": "softmax"})
    for _ in range(2):  # what was kept of the tokens is let go when the model is trained further
        model.partial_fit(words, y)
        for sentence in (*words[:2], ["w1", "unknown", "w2"]):
            state, labels = model.initial_state(), []
            for token in sentence:
                label, state = model.advance(state, token)
                labels.append(label)
            assert [labels] == model.predict([sentence])
            np.testing.assert_allclose(state.probabilities, model.predict_proba([sentence])[0][-1], rtol=1e-6)


def test_tokens_with_further_columns_are_read_one_by_one():
    words = [[(word, "odd" if word in "13" else "even") for word in RANDOM.choice(list("1234"), 4)] for _ in range(8)]
    y = [[column for _, column in sentence] for sentence in words]
    model = RNNTagger(**{**OPTIONS, "char_encoder": None, "max_iter": 2, "output": "softmax"}).fit(words, y)
    state = model.initial_state()
    for t, token in enumerate(words[0]):
        _, state = model.advance(state, token)
        np.testing.assert_allclose(state.probabilities, model.predict_proba(words[:1])[0][t], rtol=1e-6)
    with pytest.raises(ValueError, match="column"):
        model.advance(state, "1")


def test_labels_of_another_scheme_are_returned_as_given():
    y = [["I-A" if label == "up" else "O" for label in labels] for labels in TAGS]
    model = tagger(output="softmax", scheme="bioes", max_iter=2).fit(X, y)
    label, state = model.advance(model.initial_state(), X[0][0])
    assert label in model.classes_
    assert state.probabilities.shape == model.classes_.shape
    np.testing.assert_allclose(state.probabilities, model.predict_proba([X[0][:1]])[0][0], rtol=1e-12)


def test_states_are_never_changed(regressor):
    start = regressor.initial_state()
    _, state = regressor.advance(start, X[0][0])
    first = regressor.advance(state, X[1][0])[0]
    regressor.advance(state, X[2][0])
    np.testing.assert_array_equal(regressor.advance(state, X[1][0])[0], first)
    np.testing.assert_array_equal(regressor.advance(start, X[0][0])[1].scores, state.scores)


def test_states_and_steps_are_checked(several, regressor):
    state = several.initial_state()
    with pytest.raises(ValueError, match="no probabilities before the first step"):
        state.probabilities  # noqa: B018
    for x in ([1.0], "up", [1.0, np.nan], [1e300, 0.0], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"x must be"):
            several.advance(state, x)
    with pytest.raises(ValueError, match="state must be what initial_state or advance"):
        several.advance(regressor.advance(regressor.initial_state(), X[0][0])[1], X[0][0])
    with pytest.raises(ValueError, match="state must be what initial_state or advance"):
        several.advance(None, X[0][0])


def test_models_of_both_directions_have_no_single_steps():
    model = tagger(bidirectional=True, max_iter=1).fit(X, TAGS)
    with pytest.raises(ValueError, match="initial_state needs a model that reads forwards only"):
        model.initial_state()


# ----------------------------------------------------------------------------------------------------------- next step


def test_examples_of_the_next_step():
    series = [np.arange(6).reshape(3, 2), np.zeros((1, 2)), [1, 2], np.full((3, 2), np.nan), np.array([[3], [np.nan]])]
    inputs, following = next_step_examples(series)
    np.testing.assert_array_equal(inputs[0], series[0][:2])
    np.testing.assert_array_equal(following[0], series[0][1:])
    assert [part.tolist() for part in (inputs[1], following[1])] == [[1], [2]]
    assert len(inputs) == len(following) == 2
    with pytest.raises(ValueError, match=r"X\[1\] must be an array \(T, D\) or \(T,\) of numbers, got 'abc'"):
        next_step_examples([[1, 2], "abc"])


def test_sets_of_labels_are_drawn_and_fed_back():
    """The second label is the first one of the step before: with a temperature of 0 the rule goes on."""
    first = [RANDOM.integers(2, size=12) for _ in range(40)]
    series = [np.stack([part, np.append(0, part[:-1])], axis=1) for part in first]
    model = tagger(max_iter=20).fit(*next_step_examples(series))
    drawn = model.generate(series[0][:3], 30, random_state=0)
    assert drawn.shape == (30, 2)
    assert drawn.dtype == np.int64
    assert 5 < drawn[:, 0].sum() < 25
    assert np.mean(drawn[1:, 1] == drawn[:-1, 0]) > 0.8
    np.testing.assert_array_equal(model.generate(series[0][:3], 30, random_state=0), drawn)
    certain = model.generate(series[0][:3], 5, temperature=0)
    assert certain[0, 1] == series[0][2, 0]
    np.testing.assert_array_equal(certain[0], model.predict([series[0][:3]])[0][-1])
    for arguments, message in (((series[0][:0], 3), "at least one step"), (("CEG", 3), "got 'CEG'"),
                               ((series[0], 0), "n_steps must be"),
                               ((series[0], 1, None, -1), "temperature must")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            model.generate(*arguments)


def test_numbers_are_predicted_and_fed_back():
    waves = [np.sin(0.5 * np.arange(25) + phase) for phase in RANDOM.random(40) * 6]
    model = RNNStepRegressor(**{**OPTIONS, "max_iter": 20}).fit(*next_step_examples(waves))
    following = model.generate(waves[0][:20], 3)
    np.testing.assert_allclose(following, waves[0][20:23], atol=0.3)
    np.testing.assert_allclose(following[0], model.predict([waves[0][:20]])[0][-1])


def test_what_cannot_generate(several, regressor):
    with pytest.raises(ValueError, match="outputs are its next inputs, got 3 outputs and vectors of 2 numbers"):
        several.generate(X[0], 2)
    with pytest.raises(ValueError, match="generate needs a model of several labels"):
        tagger(max_iter=1).fit(X, TAGS).generate(X[0], 2)
    one = clone(regressor).set_params(max_iter=1).fit(X, [part[:, 0] for part in SUMS])
    with pytest.raises(ValueError, match="outputs are its next inputs, got 1 outputs"):
        one.generate(X[0], 2)
