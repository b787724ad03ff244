"""A time loop of the GPU backend on random arrays, and the same by the equations of `tests.numpy_backend`."""

import itertools

import numpy as np

from fastrnn.cells._cell import count_units, declared
from fastrnn.cuda import arrays
from fastrnn.cuda.recurrent_memory import Gradients, Masks, Memory, Weights
from fastrnn.kernels.packing import make_packing
from tests.numpy_backend.recurrence import Recurrence, standardize


class Problem:
    """Arrays of a pass, forward and backward.

    The input's part of normalized cells is standardized in them.

    Parameters
    ----------
    cell : NamedTuple
    hidden : int
    lengths : list of int
    dtype : str
    dropout, zoneout : bool
        Whether there is a mask of h in the recurrent product; whether states keep a part of their old value.
    """

    def __init__(self, cell, hidden, lengths, dtype="float32", dropout=False, zoneout=False, seed=0):
        self.cell, self.hidden, self.dtype = cell, hidden, dtype
        random, batch = np.random.default_rng(seed), len(lengths)
        self.packing = make_packing(max(lengths), batch, np.array(lengths))
        self.rows, self.batch = int(self.packing.offsets[-1]), batch
        slots, states = len(cell.slots), len(cell.states)

        def normal(*shape):
            return random.normal(size=shape).astype(dtype)

        self.x = normal(self.rows, len(cell.input_slots) * hidden)
        self.initial, self.d_final = normal(states, batch, hidden), normal(states, batch, hidden)
        self.dy = normal(self.rows, hidden)
        self.gated = declared(cell, "gated_slots")
        gates = len(cell.recurrent_slots) + len(self.gated)
        self.weight = (normal(gates * hidden, hidden) / np.sqrt(hidden)).astype(dtype)
        self.units = normal(count_units(cell), hidden) / 2
        self.mask = ((random.random((batch, hidden)) < 0.7) / 0.7).astype(dtype) if dropout else None
        self.update = (random.random((states, self.rows, hidden)) < 0.6).astype(dtype) if zoneout else None
        self.gates = np.zeros((self.rows, slots * hidden), dtype)
        self.normalized, inputs = declared(cell, "normalized"), self.x
        if self.normalized:
            inputs, self.scale = standardize(self.x.astype(float))
        for slot, part in zip(cell.input_slots, np.split(inputs, len(cell.input_slots), axis=1), strict=True):
            self.gates[:, slot * hidden : (slot + 1) * hidden] = part

    def expected(self):
        """Return the results by name, in float64."""
        cell, hidden = self.cell, self.hidden
        parameters, first = {"weight_ih": np.eye(self.x.shape[1])}, 0
        for name, count in declared(cell, "parameters"):
            parameters[name] = self.units[first : first + count].astype(float).reshape(-1)
            first += count
        recurrence = Recurrence(cell, hidden, parameters)
        weight, offsets = self.weight.astype(float), self.packing.offsets
        update = None if self.update is None else [part.astype(float) for part in self.update]
        mask = None if self.mask is None else self.mask.astype(float)
        states, _, kept = recurrence.run(
            self.x.astype(float), list(self.initial.astype(float)), offsets, mask, update, weight
        )
        grads = {"weight_ih": np.zeros((self.x.shape[1],) * 2), "weight_hh": np.zeros(weight.shape)}
        grads |= {name: np.zeros_like(parameters[name]) for name, _ in declared(cell, "parameters")}
        dx, d_states = recurrence.run_backward(
            kept, self.dy.astype(float), list(self.d_final.astype(float)), offsets, mask, weight, grads
        )
        units = [grads[name].reshape(-1, hidden) for name, _ in declared(cell, "parameters")]
        d_weight = grads["weight_hh"] if cell.recurrent_slots else weight  # otherwise a parameter may have its name
        return {"states": np.array(states), "dx": dx, "d_states": np.array(d_states), "weight": d_weight,
                "units": np.concatenate([np.zeros((0, hidden)), *units])}  # fmt: skip

    def results(self, loop):
        """Return the results of a time loop by name, from both of its passes."""
        cell, hidden, batch = self.cell, self.hidden, self.batch
        states = np.full((len(cell.states), batch + self.rows, hidden), np.nan, self.dtype)
        states[:, :batch] = self.initial
        masked = None
        if self.mask is not None and cell.recurrent_slots:
            masked = np.full(states.shape[1:], np.nan, self.dtype)
            masked[:batch] = self.initial[0] * self.mask
        up = lambda array: None if array is None else arrays.asarray(array)  # noqa: E731
        gated = up(np.full((self.rows, hidden), np.nan, self.dtype)) if self.gated else None
        memory = Memory(up(self.gates), up(states), up(masked), gated, None, *map(up, self._statistics()))
        recurrent, gated = (self.weight[: self._split()], self.weight[self._split() :])
        weights = Weights(up(recurrent) if len(recurrent) else None, up(gated) if len(gated) else None, None,
                          up(self.units) if len(self.units) else None)  # fmt: skip
        masks = Masks(up(self.mask), up(self.update))
        d_units = up(np.zeros((batch, *self.units.shape), self.dtype)) if len(self.units) else None
        gradients = Gradients(up(self.dy), up(self.d_final), d_units)
        loop.forward(memory, weights, masks, keep=True)
        loop.backward(gradients, memory, weights, masks)
        return self._collected(memory, gradients)

    def _statistics(self):
        """Return the arrays of `Memory` that normalized cells have: the standardized state and the scales."""
        if not self.normalized:
            return None, None
        scales = np.full((self.rows, 3), np.nan, self.dtype)
        scales[:, :1] = self.scale
        has_state = declared(self.cell, "standardized_state") is not None
        return np.full((self.rows, self.hidden), np.nan, self.dtype) if has_state else None, scales

    def _collected(self, memory, gradients):
        cell, hidden = self.cell, self.hidden
        states, dz = arrays.to_numpy(memory.states), np.split(arrays.to_numpy(memory.gates), len(cell.slots), axis=1)
        h = states[0] if memory.masked is None else arrays.to_numpy(memory.masked)
        before = np.concatenate([h[first : first + count] for first, count in self._steps()])
        recurrent = np.concatenate([np.zeros((self.rows, 0)), *[dz[slot] for slot in cell.recurrent_slots]], axis=1)
        d_units = np.zeros((0, hidden)) if gradients.units is None else arrays.to_numpy(gradients.units).sum(axis=0)
        dx = np.concatenate([dz[slot] for slot in cell.input_slots], axis=1)
        d_weight = recurrent.T @ before
        if self.gated:
            d_gated = np.concatenate([dz[slot] for slot in self.gated], axis=1).T @ arrays.to_numpy(memory.gated)
            d_weight = np.concatenate([d_weight, d_gated])
        return {"states": states[:, self.batch :], "dx": dx, "d_states": arrays.to_numpy(gradients.states),
                "weight": d_weight, "units": d_units}  # fmt: skip

    def _split(self):
        """Return how many rows of W_hh are not those of gated slots."""
        return len(self.cell.recurrent_slots) * self.hidden

    def _steps(self):
        """Yield the first row of the states before each step, and how many sequences run."""
        before = 0
        for row, end in itertools.pairwise(map(int, self.packing.offsets)):
            yield before, end - row
            before = self.batch + row
