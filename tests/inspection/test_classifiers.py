"""Recurrent classifiers and regressors, with texts, tokens and series, and in pipelines."""

import threading

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastrnn import MeanEmbeddingClassifier, RNNClassifier, RNNRegressor
from fastrnn.inspection import (
    GateActivationsDisplay,
    GradientFlowDisplay,
    HiddenStatesDisplay,
    LearningCurveDisplay,
    SingularValuesDisplay,
    explain,
    gate_activations,
    gradient_flow,
    hidden_states,
    singular_values,
)
from fastrnn.utils.use import Use

OPTIONS = {"hidden_size": 4, "embedding_size": 3, "max_iter": 2, "learning_rate_init": 0.05, "random_state": 0}
TEXTS, LABELS = ["a fine film", "truly fine", "a dull film", "so dull"] * 5, ["pos", "pos", "neg", "neg"] * 5


def series(lengths=(5, 3, 7, 4)):
    rng = np.random.default_rng(0)
    return [5 + 2 * rng.standard_normal((length, 2)) for length in lengths]


@pytest.fixture(scope="module")
def of_texts():
    return RNNClassifier("gru", pooling="last", num_layers=2, **OPTIONS).fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def of_series():
    return RNNClassifier("gru", pooling="last", input="series", bidirectional=False, **OPTIONS).fit(
        series(), ["u", "v", "w", "v"]
    )


def test_hidden_states_of_texts_are_those_that_are_pooled(of_texts):
    texts = ["a fine unheard-of film", "dull"]
    result = hidden_states(of_texts, texts)
    assert result.tokens == [text.split() for text in texts]
    assert result.names == ("l0", "l0_reverse", "l1", "l1_reverse")
    assert [values.shape for values in result.values["h"]] == [(4, 4, 4), (4, 1, 4)]
    ends = [np.concatenate([values[2, -1], values[3, 0]]) for values in result.values["h"]]
    np.testing.assert_allclose(ends, of_texts.transform(texts), atol=1e-6)


def test_hidden_states_of_series_are_those_that_are_pooled(of_series):
    result = hidden_states(of_series, series())
    assert result.tokens is None
    np.testing.assert_allclose([h[0, -1] for h in result.values["h"]], of_series.transform(series()), atol=1e-6)


def test_tokens_may_be_ids():
    model = RNNClassifier("gru", input="tokens", **OPTIONS).fit([[7, 8], [9]] * 4, [0, 1] * 4)
    assert hidden_states(model, [[9, 7, 5]]).tokens == [["9", "7", "5"]]


def test_gates_and_weights(of_texts, of_series):
    gates = gate_activations(of_texts, "truly dull")
    assert (gates.tokens, gates.values.shape) == (["truly", "dull"], (4, 3, 2, 4))
    h = hidden_states(of_texts, ["truly dull"]).values["h"][0]
    z, n = gates.values[0, 1, 0], gates.values[0, 2, 0]
    np.testing.assert_allclose((1 - z) * n, h[0, 0], atol=1e-6)  # the first step begins with zeros
    assert gate_activations(of_series, series()[0]).values.shape == (1, 3, 5, 4)
    assert gate_activations(of_texts, "").values.shape == (4, 3, 0, 4)
    layer = of_series.network_.layers["recurrent"]
    np.testing.assert_array_equal(singular_values(of_series).values, singular_values(layer).values)


@pytest.mark.parametrize("y", [None, ["w", "u"]])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_gradient_of_the_last_state_is_that_of_the_loss(pooling, y):
    options = {"input": "series", "bidirectional": False, **OPTIONS}
    model = RNNClassifier("gru", pooling=pooling, **options).fit(series(), ["u", "v", "w", "v"])
    X = series((6, 3))
    flow = gradient_flow(model, X, y=y)
    assert flow.norms.shape == (1, 1, 6)
    targets = np.array([list(model.classes_).index(label) for label in (model.predict(X) if y is None else y)])
    d_outputs = softmax(model.decision_function(X), axis=1) - np.eye(3)[targets]
    dh = d_outputs @ model.network_.layers["output"].parameters["weight"]
    factors = [1, 1] if pooling == "last" else [1 / 6, 1 / 3]
    np.testing.assert_allclose(flow.norms[0, 0, 0], np.mean(factors * np.linalg.norm(dh, axis=1)), rtol=1e-4)


def test_gradients_of_labels_and_numbers():
    X = series()
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    model = RNNClassifier("gru", input="series", **OPTIONS).fit(X, labels)
    np.testing.assert_array_equal(gradient_flow(model, X).norms, gradient_flow(model, X, y=model.predict(X)).norms)
    model = RNNRegressor("gru", pooling="last", input="series", bidirectional=False, **OPTIONS).fit(X, [1.0, 2, 3, 4])
    weight = model.network_.layers["output"].parameters["weight"]
    np.testing.assert_allclose(gradient_flow(model, X).norms[0, 0, 0], np.linalg.norm(weight), rtol=1e-5)
    assert gradient_flow(model, X, y=model.predict(X)).norms.max() < 1e-5  # no error, no gradient


def test_wrong_targets_of_gradients_are_named(of_series):
    with pytest.raises(ValueError, match="y must have as many elements as X, 4, got 1"):
        gradient_flow(of_series, series(), y=["u"])
    with pytest.raises(ValueError, match="y must be None for a layer"):
        gradient_flow(of_series.network_.layers["recurrent"], series(), y=["u"])
    with pytest.raises(ValueError, match=r"X\[1\] is empty"):
        gradient_flow(of_series, [series()[0], np.empty((0, 2))])
    with pytest.raises(NotFittedError):
        hidden_states(RNNClassifier(), ["a"])


def test_displays(of_texts, of_series, pyplot):
    assert len(HiddenStatesDisplay.from_estimator(of_texts, "a dull film").boxes_) == 3
    display = HiddenStatesDisplay.from_estimator(of_series, series()[0], unit=2)
    np.testing.assert_allclose(
        display.ax_.lines[0].get_ydata(), hidden_states(of_series, series()[:1]).values["h"][0][0, :, 2]
    )
    assert display.boxes_ == []
    assert len(GateActivationsDisplay.from_estimator(of_series, series()[0]).images_) == 3
    assert len(GradientFlowDisplay.from_estimator(of_texts, TEXTS).lines_) == 4
    pipeline = make_pipeline(FunctionTransformer(), of_series)
    assert len(SingularValuesDisplay.from_estimator(pipeline).lines_) == 3
    assert explain(of_series, series()[0]).plot().images[0].get_array().shape == (2, 5)


def test_names_with_dollars_are_no_formulas(of_texts, pyplot):
    name = "$a_{$"
    displays = [
        HiddenStatesDisplay.from_estimator(of_texts, "a film", name=name),
        GateActivationsDisplay.from_estimator(of_texts, "a film", name=name),
        GradientFlowDisplay.from_estimator(of_texts, ["a film"], name=name),
        SingularValuesDisplay.from_estimator(of_texts, name=name),
        LearningCurveDisplay.from_estimator(of_texts, name=name),
    ]
    explanation = explain(of_texts, "a film")._replace(target=name).plot()
    for figure in (*(display.figure_ for display in displays), explanation.figure):
        figure.canvas.draw()


def test_notebooks_show_hidden_states(of_texts):
    page = hidden_states(of_texts, ["a fine film"] * 7)._repr_html_()
    assert "Hidden states of 7 sequences" in page
    assert page.count("<tr>") == 1 + 5 * 4


def test_pipelines_and_searches(of_texts):
    shout = FunctionTransformer(lambda X: [text.removesuffix("!") for text in X])
    pipeline = make_pipeline(shout, of_texts)
    result = explain(pipeline, "a fine film!")
    expected = explain(of_texts, "a fine film")
    assert result.tokens == expected.tokens
    np.testing.assert_array_equal(result.contributions, expected.contributions)
    np.testing.assert_array_equal(
        gradient_flow(pipeline, ["so dull!"]).norms, gradient_flow(of_texts, ["so dull"]).norms
    )
    assert hidden_states(make_pipeline(of_texts), ["so dull"]).tokens == [["so", "dull"]]
    search = GridSearchCV(pipeline, {"rnnclassifier__hidden_size": [4]}, cv=2).fit(TEXTS, LABELS)
    assert explain(search, "so dull!").tokens == ["so", "dull"]
    with pytest.raises(NotFittedError, match="RNNClassifier instance is not fitted"):
        explain(make_pipeline(shout, RNNClassifier()), "a film")
    other = make_pipeline(FunctionTransformer(), LogisticRegression())
    with pytest.raises(TypeError, match="model must be a classifier or regressor of fastrnn, got LogisticRegression"):
        explain(other, "a film")


def test_contributions_of_series_add_up_and_name_the_feature_that_counts():
    rng = np.random.default_rng(0)
    X = np.array([0.0, 100.0]) + rng.standard_normal((60, 6, 2))
    y = X[:, 2, 0] > 0
    options = {**OPTIONS, "hidden_size": 16, "max_iter": 30}
    model = RNNClassifier("gru", pooling="last", dropout=0.0, input="series", bidirectional=False, **options).fit(X, y)
    x = np.array([[0.0, 100], [0, 100], [3, 100], [0, 100], [0, 100], [0, 100]])
    result = explain(model, x, target=True, n_steps=200)
    assert result.tokens is None
    assert result.contributions.shape == (6, 2)
    assert np.unravel_index(result.contributions.argmax(), (6, 2)) == (2, 0)
    np.testing.assert_allclose(result.contributions.sum(), result.output - result.baseline, atol=2e-3)
    mean_series = np.broadcast_to(X.reshape(-1, 2).mean(axis=0), x.shape)
    np.testing.assert_allclose(result.baseline, model._outputs([mean_series])[0, 1], atol=1e-5)
    assert str(result).splitlines()[0].startswith("True: ")
    assert len(str(result).splitlines()) == 7
    assert "\x1b[42m2\x1b[0m" in result.to_ansi()
    page = result._repr_html_()
    assert page.count("<span") == 6
    assert '0.80)" title="+' in page


def test_regressors_are_explained_in_their_units():
    X, y = series(), np.array([100.0, 300, 200, 500])
    model = RNNRegressor("gru", input="series", **OPTIONS).fit(X, y)
    result = explain(model, X[0], n_steps=400)
    np.testing.assert_allclose(result.output, model.predict(X[:1])[0], rtol=1e-6)
    np.testing.assert_allclose(result.contributions.sum(), result.output - result.baseline, atol=0.2)
    assert result.target == 0


def test_models_that_another_thread_trains_are_not_read(of_texts):
    functions = [explain, gate_activations, gradient_flow, hidden_states]
    messages = []

    def read():
        for function in functions:
            try:
                function(of_texts, "a film" if function in (explain, gate_activations) else ["a film"])
            except RuntimeError as error:
                messages.append(str(error))

    with Use((of_texts,), (), "RNNClassifier.fit"):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert [message.split(" ")[0] for message in messages] == [function.__name__ for function in functions]
    assert all("another thread trains the same RNNClassifier" in message for message in messages)


@pytest.mark.parametrize("function", [explain, gate_activations])
def test_several_series_are_not_one(function, of_series):
    for several in (series(), series((3, 3)), np.zeros((2, 3, 2))):
        with pytest.raises(ValueError, match=r"text must be one series, an array \(T, D\) or \(T,\), got"):
            function(of_series, several)


def test_displays_of_models_that_are_not_recurrent(pyplot):
    model = MeanEmbeddingClassifier(n_buckets=9, max_iter=1).fit(TEXTS, LABELS)
    for display in (HiddenStatesDisplay, GateActivationsDisplay):
        with pytest.raises(TypeError, match=r"model must be an RNNLanguageModel, .* got MeanEmbeddingClassifier"):
            display.from_estimator(model, "a fine film")
