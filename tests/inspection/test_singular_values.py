import numpy as np
import pytest

from fastrnn.cells import CELLS
from fastrnn.inspection import SingularValuesDisplay, singular_values
from fastrnn.inspection._singular_values import largest_slopes
from fastrnn.layers import GRU, LSTM, RNN, Recurrent
from tests.inspection.conftest import random_layer


@pytest.mark.parametrize("cell", sorted(CELLS.keys() - {"indrnn"}))
def test_equal_numpy_and_are_named(cell):
    layer = random_layer(cell, "bidirectional", hidden=5)
    result = singular_values(layer)
    gates = CELLS[cell].gates
    directions = ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert result.names == tuple(f"{direction}.{gate}" for direction in directions for gate in gates)
    assert result.values.shape == (len(result.names), 5)
    for name, values in zip(result.names, result.values, strict=True):
        direction, _, gate = name.partition(".")
        begin = 5 * gates.index(gate)
        block = layer.state_dict()[f"weight_hh_{direction}"][begin : begin + 5]
        np.testing.assert_allclose(values**2, np.linalg.eigvalsh(block.T @ block)[::-1], atol=1e-12)


def test_units_that_see_only_themselves():
    layer = random_layer("indrnn")
    expected = sorted(abs(layer.parameters["weight_hh_l0"]), reverse=True)
    np.testing.assert_allclose(singular_values(layer).values, [expected])


def test_a_projection_is_a_part_of_the_recurrent_matrix():
    layer = random_layer("lstm", hidden=4, proj_size=2)
    product = layer.parameters["weight_hh_l0"][:4] @ layer.parameters["weight_hr_l0"]
    values = singular_values(layer).values
    assert values.shape == (4, 4)
    np.testing.assert_allclose(values[0], np.linalg.svd(product)[1], atol=1e-12)


SIGMOIDS = {"i", "f", "o", "r", "z"}


@pytest.mark.parametrize("cell", CELLS)
def test_slopes(cell):
    expected = [0.25 if gate in SIGMOIDS else 1 for gate in CELLS[cell].gates]
    if "layer_norm" in cell:
        expected = [np.nan] * len(expected)
    np.testing.assert_array_equal(largest_slopes(CELLS[cell]), expected)


def with_gains(layer, **gains):
    """Return the layer with orthogonal recurrent blocks, each times its number."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((layer.hidden_size, layer.hidden_size)))[0]
    layer.parameters["weight_hh_l0"][:] = np.concatenate([gains[gate] * q for gate in layer.cell.gates])
    return layer


def test_verdicts():
    for gain, verdict in ((0.99, "vanishing"), (1, "neither"), (1.01, "can explode")):
        for nonlinearity in ("tanh", "relu"):
            layer = with_gains(RNN(2, 8, nonlinearity=nonlinearity), h=gain)
            assert singular_values(layer).verdicts == (verdict,)
    # The slope of a sigmoid is at most 1/4: only above 4 it can explode.
    result = singular_values(with_gains(LSTM(2, 8), i=3.9, f=4.1, g=0.9, o=4))
    assert result.verdicts == ("vanishing", "can explode", "vanishing", "neither")
    assert singular_values(Recurrent("lstm_layer_norm", 2, 8)).verdicts == ("unknown",) * 4
    result = singular_values(with_gains(GRU(2, 8), r=1.1, z=5, n=1.1))
    assert result.verdicts == ("vanishing", "can explode", "can explode")


def test_a_language_model_is_its_layer(model):
    result = singular_values(model)
    np.testing.assert_array_equal(result.values, singular_values(model.network_.recurrent).values)
    with pytest.raises(TypeError, match=r"model must be an RNNLanguageModel, .* or a recurrent layer"):
        singular_values("gru")


def test_display(pyplot, model):
    display = SingularValuesDisplay.from_estimator(model, name="trained")
    result = singular_values(model)
    for line, values, slope in zip(display.lines_, result.values, result.slopes, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), slope * values)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [
        f"trained, {name}: {verdict}" for name, verdict in zip(result.names, result.verdicts, strict=True)
    ]
    more = SingularValuesDisplay.from_estimator(RNN(2, 3, random_state=0), ax=display.ax_)
    assert more.ax_ is display.ax_
    unknown = SingularValuesDisplay.from_estimator(Recurrent("gru_layer_norm", 2, 3, random_state=0), ax=display.ax_)
    assert np.isfinite(unknown.lines_[0].get_ydata()).all()
    borders = [line for line in display.ax_.lines if list(line.get_ydata()) == [1, 1]]
    assert len(borders) == 1
