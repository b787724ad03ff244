"""Kernels compile to PTX and to machine code without a GPU, within bounds.

``python -m tests.cuda.compile_all`` compiles them for all cells, types, precisions and architectures.
"""

import numpy as np
import pytest
from numba import cuda

from fastrnn.cells import CELLS
from fastrnn.cells._cell import (
    backward,
    count_units,
    declared,
    forward,
    gate_state,
    gate_state_backward,
    output,
    output_backward,
)
from fastrnn.cuda.compiler import kernel
from fastrnn.simd import zero
from tests.cuda import arguments
from tests.cuda.compiling import array, compiled, double_precision, skip_if_unavailable

pytestmark = pytest.mark.cpu


@kernel
def _step(out, cell, slots, states, units, gated, standardized):
    """Run all steps of a cell for one unit, forward and backward, and write the sum of all results."""
    total = zero(states[0])
    if gated is not None:
        _, gated_state = gate_state(cell, slots, states)
        d_slots, d_states = gate_state_backward(cell, slots, states, gated_state)
        for value in d_slots:
            total += value
        total += d_states[0]
    new, saved = forward(cell, slots, states, units)
    for value in new:
        total += value
    if standardized is None:
        d_slots, d_states, _ = backward(cell, saved, states, units, new, states[0])
    else:
        h = output(cell, slots, standardized, units)
        d_standardized = output_backward(cell, slots, standardized, units, h)
        d_slots, d_states, d_units = backward(cell, saved, states, units, new, standardized)
        for value in d_units:
            total += value
        total += d_standardized
    for value in d_slots:
        total += value
    for value in d_states:
        total += value
    out[cuda.threadIdx.x] = total


def step_arguments(cell, dtype):
    """Return arguments of `_step`."""
    number = dtype(0)
    return (
        array(dtype, 1), cell, *((number,) * n for n in (len(cell.slots), len(cell.states), count_units(cell))),
        number if declared(cell, "gated_slots") else None,
        None if declared(cell, "standardized_state") is None else number,
    )  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_steps_of_a_cell_compile_without_double_precision(name):
    made = compiled(_step, *step_arguments(CELLS[name], np.float32))
    assert not double_precision(made)
    assert "div." not in made.ptx  # the special function units compute inverses
    assert made.spills == made.stack == 0
    assert made.registers <= 64


@pytest.mark.parametrize("name", CELLS)
def test_steps_of_a_cell_compile_in_double_precision(name):
    made = compiled(_step, *step_arguments(CELLS[name], np.float64))
    assert "rcp.approx.ftz.f32" not in made.ptx
    assert made.spills == made.stack == 0


@pytest.mark.parametrize(("module", "kernel", "number"), arguments.cases(with_cells=False))
def test_a_kernel_compiles_within_bounds(module, kernel, number):
    skip_if_unavailable()
    arguments.check(module, kernel, number)


def test_what_is_allowed_exists():
    for module, kernels in arguments.modules_with_kernels().items():
        names = {kernel.__name__ for kernel in kernels}
        assert arguments.exceptions(module) <= names
