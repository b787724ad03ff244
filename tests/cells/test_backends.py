"""The same step functions on NumPy arrays, on SIMD vectors, and in a CUDA kernel, one thread a hidden unit."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fastrnn._jit import kernel
from fastrnn.cells import CELLS
from fastrnn.cells._cell import backward, count_units, declared, forward, load_slots, load_states, load_units
from fastrnn.simd import lanes, load, store_many


@kernel
def on_vectors(out, cell, z, state, units, upstream):
    """Write new state, saved values, and all gradients of plain steps, vector by vector; arrays (rows, n)."""
    n = z.shape[1]
    for j in range(0, n, lanes(z)):
        slots, before, parameters = (
            load_slots(cell, z, j, n),
            load_states(cell, state, j, n),
            load_units(cell, units, j, n),
        )
        new_state, saved = forward(cell, slots, before, parameters)
        dz, d_state, d_units = backward(
            cell, saved, before, parameters, load_states(cell, upstream, j, n), load(state, j)
        )
        place = j
        store_many(out, place, n, new_state)
        place += n * len(new_state)
        store_many(out, place, n, saved)
        place += n * len(saved)
        store_many(out, place, n, dz)
        place += n * len(dz)
        store_many(out, place, n, d_state)
        place += n * len(d_state)
        store_many(out, place, n, d_units)


def on_arrays(cell, z, state, units, upstream):
    """Return the same from the plain functions on arrays."""
    new_state, saved = forward(cell, tuple(z), tuple(state), tuple(units))
    gradients = backward(cell, saved, tuple(state), tuple(units), tuple(upstream), state[0])
    return np.array([*new_state, *saved, *(g for part in gradients for g in part)])


def data(cell, n=64):
    rng = np.random.default_rng(0)
    return tuple(
        rng.standard_normal((count, n))
        for count in (len(cell.slots), len(cell.states), count_units(cell), len(cell.states))
    )


@pytest.mark.parametrize("name", CELLS)
def test_vectors_equal_arrays(name):
    cell = CELLS[name]
    arrays = data(cell)
    expected = on_arrays(cell, *arrays)
    padded = [array if len(array) else np.zeros((1, 64)) for array in arrays]
    out = np.zeros_like(expected)
    on_vectors(out, cell, *padded)
    np.testing.assert_allclose(out, expected, atol=1e-13)


SIMULATION = """
    import numpy as np
    from numba import cuda
    from fastrnn.cells import CELLS
    from fastrnn.cells._cell import backward, forward
    from tests.cells.test_backends import data, on_arrays

    @cuda.jit
    def one_thread_a_unit(out, cell, z, state, units, upstream):
        j = cuda.grid(1)
        if j < z.shape[1]:
            slots, before = tuple(z[:, j]), tuple(state[:, j])
            parameters, above = tuple(units[:, j]), tuple(upstream[:, j])
            new_state, saved = forward(cell, slots, before, parameters)
            gradients = backward(cell, saved, before, parameters, above, state[0, j])
            row = 0
            for part in (new_state, saved, *gradients):
                for value in part:
                    out[row, j] = value
                    row += 1

    for name, cell in CELLS.items():
        arrays = data(cell, n=9)
        expected = on_arrays(cell, *arrays)
        for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-5)):
            out = np.zeros(expected.shape, dtype)
            one_thread_a_unit[2, 8](out, cell, *(array.astype(dtype) for array in arrays))
            np.testing.assert_allclose(out, expected, atol=tolerance, err_msg=name)
        print(name)
"""


def test_cuda_threads_equal_arrays():
    """In the simulator, which is switched on before Numba is imported."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SIMULATION)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == list(CELLS)


def test_cells_with_more_than_a_pointwise_step_are_known():
    staged = {name for name, cell in CELLS.items() if declared(cell, "gated_slots") or declared(cell, "normalized")}
    assert staged == {"gru_reset_before", "mgu", "lstm_layer_norm", "gru_layer_norm"}
