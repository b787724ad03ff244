import sys
from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastrnn import RNNLanguageModel
from fastrnn.cells import CELLS
from fastrnn.inspection import GradientFlowDisplay, gradient_flow, hidden_states
from fastrnn.layers import GRU, LSTM, RNN
from tests.inspection import slow
from tests.inspection.conftest import LINES, TOPOLOGIES, random_layer, random_sequences


def mean_by_lag(norms):
    """Return the means over the sequences of norms, a dict (sequence, lag) -> norm."""
    lags = range(max(lag for _, lag in norms) + 1)
    return np.array([np.mean([norm for (_, other), norm in norms.items() if other == lag]) for lag in lags])


def assert_equals_central_differences(cell, layer):
    sequences = random_sequences()
    flow = gradient_flow(layer, sequences, random_state=7)
    ends = [0] if layer.reverse else [-1, 0][: layer.directions]
    projection = np.random.RandomState(7).standard_normal((len(ends), layer.output_size))
    projection /= np.linalg.norm(projection)

    def loss(x, shift):
        y, _ = slow.run(cell, x, layer, shift)
        return sum(y[end] @ part for end, part in zip(ends, projection, strict=True))

    assert flow.states == layer.cell.states
    assert flow.norms.shape == (len(flow.states), layer.num_layers * layer.directions, 5)
    assert len(flow.names) == layer.num_layers * layer.directions
    for k, name in enumerate(flow.names):
        for n in range(len(flow.states)):
            norms, size = {}, (layer.proj_size or 4) if n == 0 else 4
            for b, x in enumerate(sequences):
                for t in range(len(x)):
                    lag = t if layer.reverse or name.endswith("_reverse") else len(x) - 1 - t
                    norms[b, lag] = slow.gradient_norm(partial(loss, x), (k, t, n), size)
            np.testing.assert_allclose(flow.norms[n, k], mean_by_lag(norms), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_equals_central_differences(cell):
    assert_equals_central_differences(cell, random_layer(cell))


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_topology_equals_central_differences(cell, topology):
    assert_equals_central_differences(cell, random_layer(cell, topology))


def test_a_projection_equals_central_differences():
    assert_equals_central_differences("lstm", random_layer("lstm", "bidirectional", proj_size=2))


def test_a_language_model_equals_central_differences(model):
    texts = ["the keys to the cabinet are", "a key", "the unheard-of"]
    flow = gradient_flow(model, texts)
    network, vocabulary = model.network_, model.vocabulary_
    embedding = network.embedding.parameters["weight"].astype(float)
    weight, bias = (network.output.parameters[name].astype(float) for name in ("weight", "bias"))

    def loss(ids, shift):
        x = embedding[[vocabulary.end_id, *ids[:-1]]]  # the running text went on from the end of what came before
        y, _ = slow.run(model.cell, x, network.recurrent, shift)
        logits = weight @ y[-1] + bias
        return np.log(np.exp(logits).sum()) - logits[ids[-1]]

    assert flow.names == ("l0", "l1")
    for k in range(2):
        norms = {}
        for b, text in enumerate(texts):
            ids = vocabulary.encode(text.split())
            for t in range(len(ids)):
                norms[b, len(ids) - 1 - t] = slow.gradient_norm(partial(loss, ids), (k, t, 0), 4)
        np.testing.assert_allclose(flow.norms[0, k], mean_by_lag(norms), rtol=1e-5, atol=1e-9)


def test_a_vanilla_network_equals_the_product_of_its_jacobians():
    layer = RNN(2, 6, dtype="float64", random_state=1)
    (x,) = random_sequences((40,), 2)
    flow = gradient_flow(layer, [x], random_state=3)
    h = hidden_states(layer, [x]).values["h"][0][0]
    gradient = np.random.RandomState(3).standard_normal(6)
    gradient /= np.linalg.norm(gradient)
    for lag in range(40):
        assert flow.norms[0, 0, lag] == pytest.approx(np.linalg.norm(gradient), rel=1e-9)
        gradient = layer.parameters["weight_hh_l0"].T @ ((1 - h[-1 - lag] ** 2) * gradient)


def test_a_batch_is_its_sequences():
    x = np.stack(random_sequences((6, 6, 6), 2), axis=1)
    of_list = gradient_flow(GRU(2, 5, random_state=0), list(x.swapaxes(0, 1)), 0)
    of_batch = gradient_flow(GRU(2, 5, random_state=0), x, 0)
    of_transposed = gradient_flow(GRU(2, 5, batch_first=True, random_state=0), x.swapaxes(0, 1), 0)
    np.testing.assert_array_equal(of_batch.norms, of_list.norms)
    np.testing.assert_array_equal(of_batch.norms, of_transposed.norms)


def test_the_model_is_left_as_it_was(model):
    before = {name: array.copy() for name, array in model.network_.grads.items()}
    first = gradient_flow(model, LINES[:2])
    np.testing.assert_array_equal(gradient_flow(model, LINES[:2]).norms, first.norms)
    for name, array in model.network_.grads.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, "X is empty"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], ValueError, r"X\[1\] is empty"),
        ([np.zeros((3, 4))], ValueError, r"X\[0\] must have the shape \(T, 2\), got \(3, 4\)"),
        (np.zeros((3, 2)), ValueError, r"X\[0\] must have the shape \(T, 2\), got \(2,\)"),
        ([np.full((3, 2), np.nan)], ValueError, r"X\[0\] must be finite"),
    ],
)
def test_bad_arrays_are_named(X, error, message):
    with pytest.raises(error, match=message):
        gradient_flow(GRU(2, 3), X)


def test_bad_models_and_texts_are_named(model):
    with pytest.raises(TypeError, match=r"model must be an RNNLanguageModel, .* or a recurrent layer, got int"):
        gradient_flow(3, [])
    with pytest.raises(NotFittedError):
        gradient_flow(RNNLanguageModel(), ["a text"])
    with pytest.raises(ValueError, match=r"X\[1\] is empty"):
        gradient_flow(model, ["a key", ""])
    with pytest.raises(ValueError, match="Iterable over raw text documents expected"):
        gradient_flow(model, "a bare string")


def test_a_layer_that_computes_something_else_is_refused(monkeypatch):
    layer = GRU(2, 3, random_state=0)
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda x, **options: (forward(x, **options)[0] * 0.98, None))
    with pytest.raises(NotImplementedError, match="GRU: inspection does not know all that this layer computes"):
        gradient_flow(layer, random_sequences(inputs=2))


def test_display_of_several_models_on_one_chart(pyplot):
    sequences = random_sequences((30,), 2)
    layers = [RNN(2, 5, random_state=0), GRU(2, 5, 2, random_state=0), LSTM(2, 5, random_state=0)]
    ax = None
    for layer in layers:
        display = GradientFlowDisplay.from_estimator(layer, sequences, random_state=0, ax=ax)
        ax = display.ax_
        flow = gradient_flow(layer, sequences, random_state=0)
        for line, norms in zip(display.lines_, flow.norms[0], strict=True):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(30))
            np.testing.assert_array_equal(line.get_ydata(), norms)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["rnn", "gru, l0", "gru, l1", "lstm"]
    assert len({line.get_color() for line in ax.lines}) == 3
    assert ax.get_yscale() == "log"
    assert display.figure_ is ax.figure


def test_display_of_another_state_leaves_out_what_is_zero(pyplot):
    layer = LSTM(2, 5, random_state=0)
    display = GradientFlowDisplay.from_estimator(layer, random_sequences(inputs=2), state="c", name="mine", color="red")
    assert display.lines_[0].get_xdata()[0] == 1  # the loss does not see the last c
    assert display.lines_[0].get_color() == "red"
    assert display.ax_.get_ylabel() == "norm of dL/dc"
    with pytest.raises(ValueError, match=r"state must be 'h', got 'c'"):
        GradientFlowDisplay.from_estimator(GRU(2, 5), random_sequences(inputs=2), state="c")


def test_display_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Plots need matplotlib: pip install matplotlib$"):
        GradientFlowDisplay.from_estimator(GRU(2, 5), random_sequences(inputs=2))
