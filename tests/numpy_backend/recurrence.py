"""Any cell through time, forward and backward, one step after the other: the equations of the driver in NumPy.

The cell's own step comes from `fastrnn.cells`, on arrays; products, normalization, projection, masks and the order of
the steps are written here.
"""

import itertools
from typing import NamedTuple

import numpy as np

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
from tests.numpy_backend.products import outer, times

EPSILON = 1e-5


class Step(NamedTuple):
    """What backward needs of one step; n sequences are alive."""

    x: np.ndarray  # (n, D)
    before: list  # of (n, size), the states
    h: np.ndarray  # (n, output), as the recurrent product took it
    saved: tuple  # of (n, H)
    scales: tuple  # (n, 1) each, of both products and of the state, where there is a normalization
    gated_state: np.ndarray  # (n, H), what the second product was taken of, or None
    standardized: np.ndarray  # (n, H), or None
    raw: np.ndarray  # (n, H), the output before the projection, or None
    update: list  # of (n, size) or (1, size), the shares of the new values, or None
    attention: object  # of `Attending.step`, or None


def standardize(values):
    """Return rows of mean 0 and variance 1, and 1 / their standard deviation."""
    scale = 1 / np.sqrt(values.var(axis=1, keepdims=True) + EPSILON)
    return (values - values.mean(axis=1, keepdims=True)) * scale, scale


def standardize_backward(d, standardized, scale):
    """Return the gradient of rows from that of the standardized ones."""
    mean, slope = d.mean(axis=1, keepdims=True), (d * standardized).mean(axis=1, keepdims=True)
    return (d - mean - standardized * slope) * scale


class Recurrence:
    """A direction of a layer: a cell, and its parameters by torch's names without the layer's."""

    def __init__(self, cell, hidden, parameters):
        self.cell, self.hidden, self.p = cell, hidden, parameters
        self.gated = declared(cell, "gated_slots")
        self.recurrent_rows = len(cell.recurrent_slots) * hidden
        self.standardized_state = declared(cell, "standardized_state")

    def units(self):
        """Return the parameters of each unit, a tuple of (H,)."""
        names = [name for name, _ in declared(self.cell, "parameters")]
        return tuple(row for name in names for row in self.p[name].reshape(-1, self.hidden))

    def split(self, values):
        """Return the gates of rows (n, gates · H), a list of (n, H)."""
        return np.split(values, values.shape[1] // self.hidden, axis=1) if values.shape[1] else []

    def place(self, z, slots, values):
        """Add gates to their slots."""
        for slot, gate in zip(slots, self.split(values), strict=True):
            z[slot] = z[slot] + gate

    def gather(self, dz, slots):
        """Return the gradients of gates (n, gates · H) from those of their slots."""
        return np.concatenate([dz[slot] for slot in slots], axis=1) if slots else np.zeros((len(dz[0]), 0))

    def step(self, x, state, mask, update, weight_hh, attention=None):
        """Return the new states and a `Step`; x (n, D), states (n, size), mask (n, output) of h or None.

        attention: the contexts (n, M) first, see `Attending.step`; None without attention.
        """
        cell, p, units = self.cell, self.p, self.units()
        n, zero = len(x), np.zeros((len(x), self.hidden), x.dtype)
        z, h = [zero] * len(cell.slots), state[0] if mask is None else state[0] * mask
        if attention is not None:
            x = np.concatenate([x, attention[0]], axis=1)
        xs = times(x, p["weight_ih"]) + p.get("bias_ih", 0)
        biases = p.get("bias_hh", np.zeros(len(cell.recurrent_slots + self.gated) * self.hidden, x.dtype))
        hs = np.zeros((n, 0), x.dtype)
        if self.recurrent_rows:
            hs = times(h, weight_hh[: self.recurrent_rows]) + biases[: self.recurrent_rows]
        scales, gated_state = [], None
        if declared(cell, "normalized"):
            (xs, of_x), (hs, of_h) = standardize(xs), standardize(hs)
            scales += [of_x, of_h]
        self.place(z, cell.input_slots, xs)
        self.place(z, cell.recurrent_slots, hs)
        if self.gated:
            z, gated_state = gate_state(cell, tuple(z), tuple(state))
            z, gated_state = list(z), gated_state if mask is None else gated_state * mask
            self.place(
                z, self.gated, times(gated_state, weight_hh[self.recurrent_rows :]) + biases[self.recurrent_rows :]
            )
        new, saved = forward(cell, tuple(z), tuple(state), units)
        new, standardized, raw = list(new), None, None
        if self.standardized_state is not None:
            standardized, scale = standardize(new[self.standardized_state])
            scales.append(scale)
            new[0] = output(cell, saved, standardized, units)
        if "weight_hr" in p:
            raw, new[0] = new[0], times(new[0], p["weight_hr"])
        if update is not None:
            new = [old + share * (value - old) for old, share, value in zip(state, update, new, strict=True)]
        return new, Step(x, list(state), h, saved, tuple(scales), gated_state, standardized, raw, update, attention)

    def step_backward(self, kept, d_state, mask, weight_hh, grads):
        """Return the gradients of x and of the states before; add to those of the parameters.

        `grads` are the layer's arrays, and under "units" the gradients of the unit parameters, a list of (H,).
        """
        cell, p, units = self.cell, self.p, self.units()
        carried = [0] * len(d_state)
        if kept.update is not None:
            carried = [d * (1 - share) for d, share in zip(d_state, kept.update, strict=True)]
            d_state = [d * share for d, share in zip(d_state, kept.update, strict=True)]
        if kept.raw is not None:
            grads["weight_hr"] += outer(d_state[0], kept.raw)
            d_state[0] = times(d_state[0], p["weight_hr"].T)
        if kept.standardized is not None:
            d = output_backward(cell, kept.saved, kept.standardized, units, d_state[0])
            d_state[self.standardized_state] = d_state[self.standardized_state] + standardize_backward(
                d, kept.standardized, kept.scales[2]
            )
        before = tuple(kept.before)
        dz, d_before, d_units = backward(cell, kept.saved, before, units, tuple(d_state), kept.standardized)
        for total, d in zip(grads["units"], d_units, strict=True):
            total += (d + np.zeros_like(d_state[-1])).sum(axis=0)
        dz = [d + np.zeros((len(kept.x), self.hidden)) for d in dz]
        d_before = [np.broadcast_to(d, dz[0].shape) for d in d_before]
        if kept.raw is not None:  # no step reads a projected h but through the recurrent product
            d_before[0] = np.zeros_like(before[0])
        if self.gated:
            d_gated = self.gather(dz, self.gated)
            grads["weight_hh"][self.recurrent_rows :] += outer(d_gated, kept.gated_state)
            d_gated_state = times(d_gated, weight_hh[self.recurrent_rows :].T)
            dz, more = gate_state_backward(
                cell, tuple(dz), before, d_gated_state if mask is None else d_gated_state * mask
            )
            d_before = [d + m for d, m in zip(d_before, more, strict=True)]
            dz = list(dz)
        if "bias_hh" in p:
            grads["bias_hh"] += self.gather(dz, cell.recurrent_slots + self.gated).sum(axis=0)
        dxs, dhs = self.gather(dz, cell.input_slots), self.gather(dz, cell.recurrent_slots)
        if declared(cell, "normalized"):
            dxs = standardize_backward(dxs, self.gather(kept.saved, cell.input_slots), kept.scales[0])
            dhs = standardize_backward(dhs, self.gather(kept.saved, cell.recurrent_slots), kept.scales[1])
        if "bias_ih" in p:
            grads["bias_ih"] += dxs.sum(axis=0)
        grads["weight_ih"] += outer(dxs, kept.x)
        if self.recurrent_rows:
            grads["weight_hh"][: self.recurrent_rows] += outer(dhs, kept.h)
            dh = times(dhs, weight_hh[: self.recurrent_rows].T)
            d_before[0] = d_before[0] + (dh if mask is None else dh * mask)
        return times(dxs, p["weight_ih"].T), [d + c for d, c in zip(d_before, carried, strict=True)]

    def run(self, x, initial, offsets, mask, update, weight_hh, attending=None):
        """Run over packed rows x (R, D); return all states (R, size), the final ones (B, size), and the steps.

        initial: states (B, size) in packed order; update: a list of (R or 1, size) or None; attending: an `Attending`.
        """
        states, kept = [part.copy() for part in initial], []
        everything = [np.zeros((len(x), part.shape[1]), x.dtype) for part in initial]
        for first, last in itertools.pairwise(offsets):
            n = last - first
            own = None if mask is None else mask[:n]
            shares = None if update is None else [u if len(u) == 1 else u[first:last] for u in update]
            attention = None if attending is None else attending.step(len(kept), states[0][:n])
            new, step = self.step(
                x[first:last], [part[:n].copy() for part in states], own, shares, weight_hh, attention
            )
            kept.append(step)
            for rows, part, values in zip(everything, states, new, strict=True):
                rows[first:last] = part[:n] = values
        return everything, states, kept

    def run_backward(self, kept, dy, d_final, offsets, mask, weight_hh, grads, attending=None):
        """Return the gradients of x (R, D) and of the initial states (B, size); dy (R, output) in packed order."""
        d_states = [part.copy() for part in d_final]
        columns = self.p["weight_ih"].shape[1] - (0 if attending is None else attending.size)
        dx = np.zeros((len(dy), columns), dy.dtype)
        sums = {**grads, "units": np.zeros((count_units(self.cell), self.hidden), dy.dtype)}
        for t in reversed(range(len(kept))):
            first, last = offsets[t], offsets[t + 1]
            n = last - first
            d = [part[:n].copy() for part in d_states]
            d[0] += dy[first:last]
            d_input, before = self.step_backward(kept[t], d, None if mask is None else mask[:n], weight_hh, sums)
            dx[first:last] = d_input[:, :columns]
            if attending is not None:
                before[0] = before[0] + attending.step_backward(t, kept[t].attention, d_input[:, columns:])
            for part, values in zip(d_states, before, strict=True):
                part[:n] = values
        names = [(name, k) for name, count in declared(self.cell, "parameters") for k in range(count)]
        for (name, k), total in zip(names, sums["units"], strict=True):
            grads[name].reshape(-1, self.hidden)[k] += total
        return dx, d_states
