import numpy as np
import pytest

from fastrnn.cells import CELLS
from fastrnn.inspection import GateActivationsDisplay, gate_activations
from fastrnn.layers import Recurrent
from tests import reference
from tests.inspection import slow


def slow_gates(cell, x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """Return the gates at one step, in torch's order, from the input x (D,) and the state before h (H,)."""
    xs, hs = weight_ih @ x + bias_ih, weight_hh @ h + bias_hh
    if cell == "gru":
        (xr, xz, xn), (hr, hz, hn) = np.split(xs, 3), np.split(hs, 3)
        r = reference.sigmoid(xr + hr)
        return r, reference.sigmoid(xz + hz), np.tanh(xn + r * hn)
    if cell == "lstm":
        i, f, g, o = np.split(xs + hs, 4)
        return reference.sigmoid(i), reference.sigmoid(f), np.tanh(g), reference.sigmoid(o)
    return ({"rnn": np.tanh, "rnn_relu": lambda z: np.maximum(z, 0)}[cell](xs + hs),)


def expected_gates(cell, x, parameters, num_layers, bidirectional):
    """Return the gates (layers · directions, G, T, H) of one sequence x (T, D)."""
    directions, results = 2 if bidirectional else 1, []
    states = slow.run(cell, x, parameters, num_layers, bidirectional)
    for k, trace in enumerate(states):
        layer, reverse = divmod(k, directions)
        if layer and not reverse:
            x = np.concatenate([states[k - directions + d][0] for d in range(directions)], axis=1)
        suffix = f"l{layer}" + ("_reverse" if reverse else "")
        weights = [parameters[f"{n}_{suffix}"].astype(float) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        zero = np.zeros((1, trace.shape[2]))
        before = np.concatenate([trace[0, 1:], zero] if reverse else [zero, trace[0, :-1]])
        results.append(np.stack([slow_gates(cell, x[t], before[t], *weights) for t in range(len(x))], axis=1))
    return np.stack(results)


@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
def test_a_layer_equals_the_reference(cell, layers, bidirectional):
    layer = Recurrent(cell, 3, 4, layers, bidirectional=bidirectional, random_state=0)
    x = np.random.default_rng(0).standard_normal((6, 3))
    result = gate_activations(layer, x)
    assert result.gates == CELLS[cell].gates
    assert result.tokens is None
    expected = expected_gates(cell, x, layer.state_dict(), layers, bidirectional)
    np.testing.assert_allclose(result.values, expected, atol=1e-12)


def test_a_language_model_has_a_value_a_token(model):
    text = "the unheard-of keys"
    result = gate_activations(model, text)
    ids = model.vocabulary_.encode(["</s>", *text.split()])  # what stood before the text in a running text
    x = model.network_.embedding.parameters["weight"].astype(float)[ids]
    expected = expected_gates(model.cell, x, model.network_.recurrent.state_dict(), 2, False)
    assert result.tokens == text.split()
    np.testing.assert_allclose(result.values, expected[:, :, 1:], atol=1e-12)
    np.testing.assert_array_equal(gate_activations(model, text.split()).values, result.values)
    assert gate_activations(model, "").values.shape == (*expected.shape[:2], 0, 4)


def test_bad_input_is_named(model):
    with pytest.raises(ValueError, match=r"X must be one sequence \(T, 3\), got an array of shape \(2, 5, 3\)"):
        gate_activations(Recurrent("gru", 3, 4), np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match=r"X\[0\] must be a string or a list of tokens, got 3"):
        gate_activations(model, 3)


def test_display(pyplot, model):
    text = "the key to the cabinets"
    display = GateActivationsDisplay.from_estimator(model, text, layer="l1", name="small")
    result = gate_activations(model, text)
    assert len(display.axes_) == len(result.gates)
    for image, gate in zip(display.images_, result.values[1], strict=True):
        np.testing.assert_array_equal(image.get_array(), gate.T)
        assert image.norm.vmin == (-1 if gate.min() < 0 else 0)
    assert [label.get_text() for label in display.axes_[-1].get_xticklabels()] == text.split()
    assert [ax.get_ylabel() for ax in display.axes_] == [f"{gate}: units" for gate in result.gates]
    assert display.figure_.get_suptitle() == "small, l1"
    with pytest.raises(ValueError, match=r"layer must be one of \('l0', 'l1'\), got 'l2'"):
        GateActivationsDisplay.from_estimator(model, text, layer="l2")
    layer = GateActivationsDisplay.from_estimator(Recurrent("lstm", 3, 4, random_state=0), np.ones((200, 3)))
    assert layer.images_[0].get_array().shape == (4, 200)


@pytest.mark.parametrize("cell", ["lstm_layer_norm", "gru_layer_norm"])
def test_gates_of_normalized_cells_make_the_next_state(cell):
    layer = Recurrent(cell, 3, 4, random_state=0)
    for array in layer.parameters.values():
        array += np.random.default_rng(1).normal(0, 0.3, array.shape)
    x = np.random.default_rng(0).standard_normal((6, 3))
    (gates,) = gate_activations(layer, x).values
    _, _, states = layer.forward(x[:, None], return_all_states=True)
    h_or_c = (states[1] if isinstance(states, tuple) else states)[0, :, 0]
    before = np.concatenate([np.zeros((1, 4)), h_or_c[:-1]])
    if cell == "lstm_layer_norm":
        i, f, g, _ = gates
        expected = f * before + i * g
    else:
        _, z, n = gates
        expected = (1 - z) * n + z * before
    np.testing.assert_allclose(h_or_c, expected, atol=1e-5)
