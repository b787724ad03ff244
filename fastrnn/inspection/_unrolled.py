"""Recurrent layers unrolled in NumPy: slow, in float64, and every state and every gate is kept to be looked at.

The equations are the cells' own, which run on arrays. What stands between them (products with the weights, layers,
directions) is written out here; `unroll` compares the first steps with the compiled layer, so that a layer that
computes something else is refused instead of misread.
"""

from typing import NamedTuple

import numpy as np

from fastrnn.cells._cell import backward, declared, forward
from fastrnn.kernels.recurrence import EPSILON

_COMPARED_STEPS = 3  # few: over many, rounding alone can make a chaotic network diverge


class Trace(NamedTuple):
    """What one direction of one layer did, step by step in the order in which it read.

    Attributes
    ----------
    weights : dict of str to ndarray
        float64, under the names of a state dict without their suffix.
    x : ndarray (T, B, D)
    states : ndarray (N, T + 1, B, H)
        The states before the first step and after each; zeros behind the end of a sequence.
    kept : ndarray (slots, T, B, H)
        What the cell's forward step keeps for its backward step: the values of its gates.
    operands : ndarray (T, B, H)
        What the late product is taken of; zeros for cells without one.
    standardized : ndarray (T, B, H)
        The standardized state; zeros for cells without one.
    scales : ndarray (3, T, B)
        1 / standard deviation of what is standardized: input part, recurrent part, state.
    """

    weights: dict
    x: np.ndarray
    states: np.ndarray
    kept: np.ndarray
    operands: np.ndarray
    standardized: np.ndarray
    scales: np.ndarray


class Unrolled(NamedTuple):
    """A recurrent layer that has read a batch of sequences.

    Attributes
    ----------
    layer : Recurrent
    lengths : ndarray (B,) of int
    traces : list of Trace
        In the order of the layer's states: layer 0 forward, layer 0 reverse, layer 1 forward, ...
    """

    layer: object
    lengths: np.ndarray
    traces: list

    @property
    def names(self):
        """The suffixes of the parameters of each trace: ``l0``, ``l0_reverse``, ``l1``, ..."""
        return direction_names(self.layer)

    def in_time(self, array, k):
        """Return an array (..., T, B, H) of trace k with the steps in the order of the sequences."""
        if k % self.layer.directions == 0:
            return array
        return np.moveaxis(_reversed(np.moveaxis(array, (-3, -2), (0, 1)), self.lengths), (0, 1), (-3, -2))

    def backward(self, d_final):
        """Return the gradient of a loss by every state.

        Parameters
        ----------
        d_final : ndarray (directions, B, H)
            Gradient of the loss by the last output h of each direction of the last layer.

        Returns
        -------
        list of ndarray (N, T, B, H)
            For each trace, the gradient by the states after each step, in the order in which it read. A state acts on
            the loss through the next step and, h, through the layer above.
        """
        directions, d_states = self.layer.directions, [None] * len(self.traces)
        steps, batch = self.traces[0].x.shape[:2]
        ended = np.flatnonzero(self.lengths > 0)
        dy = np.zeros((directions, steps, batch, self.layer.hidden_size))  # as each direction read
        dy[:, self.lengths[ended] - 1, ended] = d_final[:, ended]
        for first in range(len(self.traces) - directions, -1, -directions):
            dx = 0
            for d, k in enumerate(range(first, first + directions)):
                d_states[k], d_input = _backward(self.layer.cell, self.traces[k], dy[d], self.lengths)
                dx = dx + self.in_time(d_input, k)
            dy = np.stack(np.split(dx, directions, axis=2)) if first else None
            if first and directions == 2:
                dy[1] = _reversed(dy[1], self.lengths)
        return d_states


def direction_names(layer):
    """Return the suffix of the parameters of each direction of each layer, in the order of the layer's states."""
    return tuple(f"l{k}{suffix}" for k in range(layer.num_layers) for suffix in ("", "_reverse")[: layer.directions])


def unroll(layer, sequences):
    """Run a recurrent layer over sequences, from zero states, and keep everything.

    Parameters
    ----------
    layer : Recurrent
    sequences : list of ndarray (T_i, D)

    Returns
    -------
    Unrolled

    Raises
    ------
    NotImplementedError
        The layer computes something else than its cell in layers and directions.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.intp)
    x = np.zeros((lengths.max(initial=0), len(sequences), layer.input_size))
    for b, sequence in enumerate(sequences):
        x[: lengths[b], b] = sequence
    _check_first_steps(layer, x[:_COMPARED_STEPS], np.minimum(lengths, _COMPARED_STEPS))
    return Unrolled(layer, lengths, _forward_layers(layer, x, lengths)[1])


def _check_first_steps(layer, x, lengths):
    """Raise NotImplementedError if the compiled layer does not agree."""
    expected, _ = layer.forward(x.swapaxes(0, 1) if layer.batch_first else x, lengths=lengths)
    got, _ = _forward_layers(layer, x, lengths)
    expected = expected.swapaxes(0, 1) if layer.batch_first else expected
    if got.shape != expected.shape or not np.allclose(got, expected, rtol=1e-3, atol=1e-3 * abs(got).max(initial=0)):
        raise NotImplementedError(f"{type(layer).__name__}: inspection does not know all that this layer computes.")


def _forward_layers(layer, x, lengths):
    """Return the output (T, B, directions · H) of the last layer, and all traces."""
    traces = []
    for k in range(layer.num_layers):
        outputs = []
        for d in range(layer.directions):
            weights = _weights(layer, direction_names(layer)[k * layer.directions + d])
            traces.append(_forward(layer.cell, weights, _reversed(x, lengths) if d else x, lengths))
            h = traces[-1].states[0, 1:]
            outputs.append(_reversed(h, lengths) if d else h)
        x = np.concatenate(outputs, axis=2)
    return x, traces


def _weights(layer, name):
    """Return the weights of one direction in float64, zeros for biases that it does not have."""
    weights = {
        key.removesuffix(f"_{name}"): value.astype(np.float64)
        for key, value in layer.parameters.items()
        if key.endswith(f"_{name}")
    }
    cell, hidden = layer.cell, layer.hidden_size
    parameters = [weights[key].reshape(count, hidden) for key, count in declared(cell, "parameters")]
    weights["units"] = np.concatenate([np.zeros((0, hidden)), *parameters])
    slots = len(cell.recurrent_slots) + len(declared(cell, "late_slots"))
    if not slots:
        weights["weight_hh"] = np.zeros((0, hidden))
    weights.setdefault("bias_ih", np.zeros(len(cell.gates) * hidden))
    weights.setdefault("bias_hh", np.zeros(slots * hidden))
    return weights


def _forward(cell, weights, x, lengths):
    """Run a cell over x (T, B, D)."""
    steps, batch, _ = x.shape
    hidden = weights["weight_hh"].shape[1]
    trace = Trace(
        weights,
        x,
        states=np.zeros((len(cell.states), steps + 1, batch, hidden)),
        kept=np.zeros((len(cell.slots), steps, batch, hidden)),
        operands=np.zeros((steps, batch, hidden)),
        standardized=np.zeros((steps, batch, hidden)),
        scales=np.ones((3, steps, batch)),
    )
    for t in range(steps):
        _forward_step(cell, trace, t, np.flatnonzero(lengths > t))
    return trace


def _forward_step(cell, trace, t, rows):
    """Run a cell over step t of the sequences `rows`."""
    weights, hidden = trace.weights, trace.states.shape[-1]
    early, late = _parts(cell, weights)
    units = tuple(weights["units"])
    state = tuple(trace.states[:, t, rows])
    z = np.zeros((len(cell.slots), len(rows), hidden))
    from_input = _by_gate(trace.x[t, rows] @ weights["weight_ih"].T + weights["bias_ih"], hidden)
    from_state = _by_gate(state[0] @ weights["weight_hh"][early].T + weights["bias_hh"][early], hidden)
    if declared(cell, "normalized"):
        from_input, trace.scales[0, t, rows] = _standardize(from_input)
        from_state, trace.scales[1, t, rows] = _standardize(from_state)
    z[list(cell.input_slots)] += from_input
    z[list(cell.recurrent_slots)] += from_state
    if declared(cell, "late_slots"):
        slots, operand = cell.early(tuple(z), state)
        z, trace.operands[t, rows] = np.array(slots), operand
        z[list(cell.late_slots)] += _by_gate(operand @ weights["weight_hh"][late].T + weights["bias_hh"][late], hidden)
    new_state, saved = forward(cell, tuple(z), state, units)
    which = declared(cell, "standardized_state")
    if which is not None:
        (hat,), trace.scales[2, t, rows] = _standardize(new_state[which][None])
        trace.standardized[t, rows] = hat
        new_state = (cell.output(saved, hat, units), *new_state[1:])
    trace.states[:, t + 1, rows] = new_state
    trace.kept[:, t, rows] = saved


def _backward(cell, trace, dy, lengths):
    """Return the gradients by the states after each step (N, T, B, H) and by x (T, B, D), for those by h (T, B, H)."""
    d_states, dx = np.zeros_like(trace.states[:, 1:]), np.zeros_like(trace.x)
    d_state = np.zeros_like(trace.states[:, 0])  # (N, B, H), what comes from the next step
    for t in reversed(range(len(dx))):
        rows = np.flatnonzero(lengths > t)
        d_state[0, rows] += dy[t, rows]
        d_states[:, t, rows] = d_state[:, rows]
        d_state[:, rows], dx[t, rows] = _backward_step(cell, trace, t, rows, d_state[:, rows])
    return d_states, dx


def _backward_step(cell, trace, t, rows, d_new):
    """Return the gradients by the states before step t (N, n, H) and by its input (n, D)."""
    weights, hat, scales = trace.weights, trace.standardized[t, rows], trace.scales[:, t, rows]
    early, late = _parts(cell, weights)
    units, state, saved = tuple(weights["units"]), tuple(trace.states[:, t, rows]), tuple(trace.kept[:, t, rows])
    which = declared(cell, "standardized_state")
    if which is not None:
        d_new = d_new.copy()
        d_hat = cell.output_backward(saved, hat, units, d_new[0])
        d_new[which] += _standardize_backward(d_hat[None], hat[None], scales[2])[0]
    dz, d_state, _ = backward(cell, saved, state, units, tuple(d_new), hat)
    d_state = np.array(d_state)
    if declared(cell, "late_slots"):
        d_operand = _by_row(dz, cell.late_slots) @ weights["weight_hh"][late]
        dz, d_early = cell.early_backward(dz, state, d_operand)
        d_state += d_early
    dz = np.array(dz)
    if declared(cell, "normalized"):
        for slots, scale in ((cell.input_slots, scales[0]), (cell.recurrent_slots, scales[1])):
            slots = list(slots)
            dz[slots] = _standardize_backward(dz[slots], np.array(saved)[slots], scale)
    if cell.recurrent_slots:
        d_state[0] += _by_row(dz, cell.recurrent_slots) @ weights["weight_hh"][early]
    return d_state, _by_row(dz, cell.input_slots) @ weights["weight_ih"]


def _parts(cell, weights):
    """Return the rows of ``weight_hh`` of the recurrent and of the late product."""
    cut = len(cell.recurrent_slots) * weights["weight_hh"].shape[1]
    return slice(cut), slice(cut, None)


def _standardize(values):
    """Standardize values (G, n, H) over G and H; return them and 1 / standard deviation (n,)."""
    mean, variance = values.mean((0, 2), keepdims=True), values.var((0, 2), keepdims=True)
    scale = 1 / np.sqrt(variance + EPSILON)
    return (values - mean) * scale, scale[0, :, 0]


def _standardize_backward(d_values, values, scale):
    """Return the gradient by what was standardized to `values` (G, n, H)."""
    mean = d_values.mean((0, 2), keepdims=True)
    slope = (d_values * values).mean((0, 2), keepdims=True)
    return (d_values - mean - values * slope) * scale[:, None]


def _by_gate(rows, hidden):
    """Return (G, n, H) of rows (n, G · H)."""
    return rows.reshape(len(rows), -1, hidden).swapaxes(0, 1)


def _by_row(dz, slots):
    """Return rows (n, G · H) of the gradients of the slots, the gates in the order of the weights."""
    return np.concatenate([dz[slot] for slot in slots], axis=1)


def _reversed(x, lengths):
    """Return x (T, B, ...) with every sequence backwards."""
    t = np.arange(len(x))[:, None]
    return x[np.where(t < lengths, lengths - 1 - t, t), np.arange(len(lengths))]
