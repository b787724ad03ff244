import pathlib

import numpy as np
import pytest

import fastrnn.cells
from fastrnn.cells import CELLS
from fastrnn.cells._cell import PLANNED, backward, count_units, declared, forward
from fastrnn.layers import Recurrent, cells

FOLDER = pathlib.Path(fastrnn.cells.__file__).parent


def test_every_cell_file_is_registered_and_short():
    files = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    registered = {type(cell).__module__.rsplit(".", 1)[1] for cell in CELLS.values()}
    assert files == registered
    for name in files:
        assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 150


@pytest.mark.parametrize("name", CELLS)
def test_declarations(name):
    cell = CELLS[name]
    assert cell.states[0] == "h"
    assert len(cell.input_slots) == len(cell.gates)
    gated = declared(cell, "gated_slots")
    for slots in (cell.input_slots, cell.recurrent_slots, gated):  # one block of columns each
        assert sorted(slots) == list(range(min(slots, default=0), min(slots, default=0) + len(slots)))
    assert len(cell.recurrent_slots + gated) in (0, len(cell.gates))


def whole_step(cell, z, state, units):
    """Return the new state, with the gated product and the standardization left out (replaced by the identity)."""
    if declared(cell, "gated_slots"):
        z, operand = cell.gate_state(z, state)
        z = list(z)
        for slot in declared(cell, "gated_slots"):
            z[slot] = z[slot] + operand
    new_state, saved = forward(cell, tuple(z), state, units)
    if declared(cell, "standardized_state") is not None:
        new_state = (cell.output(saved, new_state[1], units), *new_state[1:])
    return new_state, saved


def whole_step_backward(cell, saved, state, new_state, units, upstream):
    if declared(cell, "standardized_state") is not None:
        upstream = (upstream[0], upstream[1] + cell.output_backward(saved, new_state[1], units, upstream[0]))
    dz, d_state, d_units = backward(cell, saved, state, units, upstream, new_state[-1])
    if declared(cell, "gated_slots"):
        d_operand = sum(dz[slot] for slot in declared(cell, "gated_slots"))
        dz, d_gated = cell.gate_state_backward(dz, state, d_operand)
        d_state = tuple(a + b for a, b in zip(d_state, d_gated, strict=True))
    return dz, d_state, d_units


@pytest.mark.parametrize("name", CELLS)
def test_the_step_functions_are_each_others_gradient(name):
    """Central differences of the plain step on float64 arrays: no kernel, no product."""
    cell, rng, n = CELLS[name], np.random.default_rng(0), 50
    used = sorted({*cell.input_slots, *cell.recurrent_slots, *declared(cell, "gated_slots")})
    z = rng.standard_normal((len(cell.slots), n))
    state = rng.standard_normal((len(cell.states), n))
    units = rng.standard_normal((count_units(cell), n))
    upstream = rng.standard_normal((len(cell.states), n))
    new_state, saved = whole_step(cell, tuple(z), tuple(state), tuple(units))
    assert len(saved) == len(cell.slots)
    dz, d_state, d_units = whole_step_backward(cell, saved, tuple(state), new_state, tuple(units), tuple(upstream))
    assert len(d_units) == count_units(cell)

    def loss():
        return (np.array(whole_step(cell, tuple(z), tuple(state), tuple(units))[0]) * upstream).sum(0)

    epsilon = 1e-6
    pairs = [(z[slot], dz[slot]) for slot in used]
    pairs += [*zip(state, d_state, strict=True), *zip(units, d_units, strict=True)]
    for array, gradient in pairs:
        original = array.copy()
        array[:] = original + epsilon
        above = loss()
        array[:] = original - epsilon
        below = loss()
        array[:] = original
        np.testing.assert_allclose(gradient, (above - below) / (2 * epsilon), atol=1e-8)


@pytest.mark.parametrize("name", PLANNED)
def test_planned_stages_are_refused(name):
    cell = type("Ahead", (type(CELLS["rnn"]),), {name: (1, 2)})()
    with pytest.raises(NotImplementedError, match=f"cell must not declare {name}"):
        Recurrent(cell, 2, 3)


def test_every_cell_is_described_in_a_line():
    described = cells()
    assert described.keys() == CELLS.keys()
    assert all(line and len(line) <= 120 for line in described.values())
