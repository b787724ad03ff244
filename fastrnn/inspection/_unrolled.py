"""Recurrent layers unrolled in NumPy: slow, in float64, and every state and every gate is kept to be looked at.

The equations are the cells' own, which run on arrays. What stands between them (products with the weights, layers,
directions) is written out here; `unroll` compares the first steps with the compiled layer, so that a layer that
computes something else is refused instead of misread.
"""

from typing import NamedTuple

import numpy as np

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
    """

    weights: dict
    x: np.ndarray
    states: np.ndarray
    kept: np.ndarray


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
    for bias, weight in (("bias_ih", "weight_ih"), ("bias_hh", "weight_hh")):
        weights.setdefault(bias, np.zeros(len(weights[weight])))
    return weights


def _forward(cell, weights, x, lengths):
    """Run a cell over x (T, B, D)."""
    steps, batch, _ = x.shape
    hidden = weights["weight_hh"].shape[1]
    from_input = x @ weights["weight_ih"].T + weights["bias_ih"]  # (T, B, gates · H)
    states = np.zeros((len(cell.states), steps + 1, batch, hidden))
    kept = np.zeros((len(cell.slots), steps, batch, hidden))
    for t in range(steps):
        rows = np.flatnonzero(lengths > t)
        from_state = states[0, t, rows] @ weights["weight_hh"].T + weights["bias_hh"]
        z = np.zeros((len(cell.slots), len(rows), hidden))
        z[list(cell.input_slots)] += _by_gate(from_input[t, rows], hidden)
        z[list(cell.recurrent_slots)] += _by_gate(from_state, hidden)
        new_state, saved = cell.forward(tuple(z), tuple(states[:, t, rows]))
        states[:, t + 1, rows] = new_state
        kept[:, t, rows] = saved
    return Trace(weights, x, states, kept)


def _backward(cell, trace, dy, lengths):
    """Return the gradients by the states after each step (N, T, B, H) and by x (T, B, D), for those by h (T, B, H)."""
    d_states, dx = np.zeros_like(trace.states[:, 1:]), np.zeros_like(trace.x)
    d_state = np.zeros_like(trace.states[:, 0])  # (N, B, H), what comes from the next step
    for t in reversed(range(len(dx))):
        rows = np.flatnonzero(lengths > t)
        d_state[0, rows] += dy[t, rows]
        d_states[:, t, rows] = d_state[:, rows]
        before, after = trace.states[:, t, rows], trace.states[:, t + 1, rows]
        dz, d_before = cell.backward(tuple(trace.kept[:, t, rows]), tuple(before), tuple(after),
                                     tuple(d_state[:, rows]))  # fmt: skip
        d_state[:, rows] = d_before
        d_state[0, rows] += _by_row(dz, cell.recurrent_slots) @ trace.weights["weight_hh"]
        dx[t, rows] = _by_row(dz, cell.input_slots) @ trace.weights["weight_ih"]
    return d_states, dx


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
