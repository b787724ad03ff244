import numpy as np
import pytest

from fastrnn.cells import CELLS
from fastrnn.inspection import GateActivationsDisplay, gate_activations
from fastrnn.layers import Recurrent
from tests import reference
from tests.inspection import slow
from tests.inspection.conftest import random_layer, random_sequences


def slow_gates(cell, x, state, new_state, p):
    """Return the gates at one step, in the order of the weights; x (D,), states (H,), p as for `reference.step`."""
    h, xs = state[0], p["weight_ih"] @ x + p.get("bias_ih", 0)
    if cell in ("rnn", "rnn_relu", "irnn", "indrnn"):
        return (new_state[0],)  # the only gate is the state itself
    w, b = p["weight_hh"], p.get("bias_hh", np.zeros(len(p["weight_hh"])))
    hs, cut = w @ h + b, -len(h)  # the last gate has the last rows
    if cell in ("gru", "gru_reset_before"):
        (xr, xz, xn), (hr, hz, hn) = np.split(xs, 3), np.split(hs, 3)
        r, z = reference.sigmoid(xr + hr), reference.sigmoid(xz + hz)
        return r, z, np.tanh(xn + r * hn if cell == "gru" else xn + w[cut:] @ (r * h) + b[cut:])
    if cell == "gru_layer_norm":
        ax, ah = (p[f"weight_norm_{part}"] * reference.layer_norm(sums) for part, sums in (("ih", xs), ("hh", hs)))
        (xr, xz, xn), (hr, hz, hn) = np.split(ax + p["bias_norm"], 3), np.split(ah, 3)
        r, z = reference.sigmoid(xr + hr), reference.sigmoid(xz + hz)
        return r, z, np.tanh(xn + r * (hn + p["bias_norm_hn"]))
    if cell == "lstm_layer_norm":
        ax, ah = (p[f"weight_norm_{part}"] * reference.layer_norm(sums) for part, sums in (("ih", xs), ("hh", hs)))
        i, f, g, o = np.split(ax + ah + p["bias_norm"], 4)
        return reference.sigmoid(i), reference.sigmoid(f), np.tanh(g), reference.sigmoid(o)
    if cell == "gru_simple":
        z, n = np.split(xs + hs, 2)
        return reference.sigmoid(z), np.tanh(n)
    if cell == "mgu":
        f = reference.sigmoid(np.split(xs + hs, 2)[0])
        return f, np.tanh(np.split(xs, 2)[1] + w[cut:] @ (f * h) + b[cut:])
    if cell == "lstm_coupled":
        f, g, o = np.split(xs + hs, 3)
        return reference.sigmoid(f), np.tanh(g), reference.sigmoid(o)
    i, f, g, o = np.split(xs + hs, 4)
    pi, pf, po = np.split(p.get("weight_peephole", np.zeros(3 * len(state[1]))), 3)
    seen = new_state[1] if cell == "lstm_peephole" else state[1]
    i, f, o = (reference.sigmoid(part) for part in (i + pi * state[1], f + pf * state[1], o + po * seen))
    return i, f, np.tanh(g), o


def expected_gates(cell, x, layer):
    """Return the gates (layers · directions, G, T, H) of one sequence x (T, D) in layers without residual."""
    results, parameters = [], {name: array.astype(float) for name, array in layer.parameters.items()}
    _, states = slow.run(cell, x, layer)
    for k in range(layer.num_layers):
        place = range(k * layer.directions, (k + 1) * layer.directions)
        for d, n in enumerate(place):
            suffix = f"_l{k}" + ("_reverse" if d else "")
            p = {name.removesuffix(suffix): value for name, value in parameters.items() if name.endswith(suffix)}
            step = -1 if d or layer.reverse else 1
            after = [state[::step] for state in states[n]]  # in the order in which it read
            before = [np.concatenate([np.zeros_like(state[:1]), state[:-1]]) for state in after]
            gates = [
                slow_gates(cell, x[::step][t], [s[t] for s in before], [s[t] for s in after], p) for t in range(len(x))
            ]
            results.append(np.stack(gates[::step], axis=1))
        x = np.concatenate([states[n][0] for n in place], axis=1)
    return np.stack(results)


def assert_equals_reference(cell, layer):
    (x,) = random_sequences((6,))
    result = gate_activations(layer, x)
    assert result.gates == CELLS[cell].gates
    assert result.tokens is None
    np.testing.assert_allclose(result.values, expected_gates(cell, x, layer), atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_equals_the_reference(cell):
    assert_equals_reference(cell, random_layer(cell))


@pytest.mark.parametrize("topology", ["reverse", "bidirectional", "batch first"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_topology_equals_the_reference(cell, topology):
    assert_equals_reference(cell, random_layer(cell, topology))


def test_a_projection_equals_the_reference():
    assert_equals_reference("lstm", random_layer("lstm", "bidirectional", proj_size=2))


def test_a_language_model_has_a_value_a_token(model):
    text = "the unheard-of keys"
    result = gate_activations(model, text)
    ids = model.vocabulary_.encode(["</s>", *text.split()])  # what stood before the text in a running text
    x = model.network_.embedding.parameters["weight"].astype(float)[ids]
    expected = expected_gates(model.cell, x, model.network_.recurrent)
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
    with pytest.raises(ValueError, match=r"layer must be 'l0' or 'l1', got 'l2'"):
        GateActivationsDisplay.from_estimator(model, text, layer="l2")
    layer = GateActivationsDisplay.from_estimator(Recurrent("lstm", 3, 4, random_state=0), np.ones((200, 3)))
    assert layer.images_[0].get_array().shape == (4, 200)
