import pathlib

import numpy as np
import pytest

import fastrnn.cells
from fastrnn.cells import CELLS

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
    assert len(cell.input_slots) == len(cell.recurrent_slots) == len(cell.gates)
    for slots in (cell.input_slots, cell.recurrent_slots):  # one block of columns
        assert sorted(slots) == list(range(min(slots), min(slots) + len(slots)))
    assert set(cell.input_slots) | set(cell.recurrent_slots) == set(range(len(cell.slots)))


@pytest.mark.parametrize("name", CELLS)
def test_the_step_functions_are_each_others_gradient(name):
    """Central differences of the plain step on float64 arrays: no kernel, no product."""
    cell, rng, units = CELLS[name], np.random.default_rng(0), 50
    z = rng.standard_normal((len(cell.slots), units))
    state = rng.standard_normal((len(cell.states), units))
    upstream = rng.standard_normal((len(cell.states), units))
    new_state, saved = cell.forward(tuple(z), tuple(state))
    assert len(saved) == len(cell.slots)
    dz, d_state = cell.backward(saved, tuple(state), new_state, tuple(upstream))

    def loss():
        return (np.array(cell.forward(tuple(z), tuple(state))[0]) * upstream).sum(0)

    epsilon = 1e-6
    for arrays, gradients in ((z, dz), (state, d_state)):
        for array, gradient in zip(arrays, gradients, strict=True):
            original = array.copy()
            array[:] = original + epsilon
            above = loss()
            array[:] = original - epsilon
            below = loss()
            array[:] = original
            np.testing.assert_allclose(gradient, (above - below) / (2 * epsilon), atol=1e-8)
