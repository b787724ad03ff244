"""A recurrent layer taken apart into its directions, and the gradient by every state.

States and gradients come from layers: copies in float64 of the whole one and of each direction alone. Only the links
between the directions (merging, residual connections, zoneout at prediction) are written out here. The result is
compared with the layer, so that a layer that computes something else raises an error.
"""

from typing import NamedTuple

import numpy as np

from fastrnn.layers import Recurrent
from fastrnn.utils.checks import check_choice
from fastrnn.utils.recurrent import state_parts

# Options that act at prediction; those that act in training alone stay at their defaults.
_OPTIONS = ("input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size", "merge", "residual",
            "reverse", "learn_initial_state", "zoneout")  # fmt: skip
_COMPARED_STEPS = 3  # few: over many, rounding alone can make a chaotic network diverge


class Trace(NamedTuple):
    """The inputs of one direction of one layer, and the states that it had.

    Attributes
    ----------
    single : Recurrent
        This direction alone, in float64, without zoneout.
    is_reverse : bool
        Whether it reads the sequences backwards.
    x : ndarray (T, B, D)
        Its input, in time order as everything here, zeros after the end of a sequence.
    before, after : list of ndarray (T, B, size of the state)
        Each state before and after each step that it reads.
    """

    single: Recurrent
    is_reverse: bool
    x: np.ndarray
    before: list
    after: list


class Unrolled(NamedTuple):
    """A recurrent layer that has read a batch of sequences.

    Attributes
    ----------
    layer : Recurrent
    lengths : ndarray (B,) of int
    y : ndarray (T, B, output_size)
    traces : list of Trace
        In the order of the layer's states: layer 0 forward, layer 0 reverse, layer 1 forward, ...
    """

    layer: Recurrent
    lengths: np.ndarray
    y: np.ndarray
    traces: list

    def backward(self, dy, d_last=None):
        """Return the gradient of a loss by every state.

        Parameters
        ----------
        dy : ndarray (T, B, output_size)
            Gradient by the outputs, zeros after the end of a sequence.
        d_last : list of ndarray (layers · directions, B, size of the state), or None, default=None
            Gradient by each state after the last step that a direction reads, where the loss reads it by itself.

        Returns
        -------
        list of (list of ndarray (T, B, size of the state))
            For each trace, the gradient by each state after each step. A state acts on the loss through the next step
            and, for h, through the layer above.
        """
        layer, d_states = self.layer, []
        for k in reversed(range(layer.num_layers)):
            d_inputs = dy if layer.residual and k > 0 else 0
            for d in reversed(range(layer.directions)):
                n = k * layer.directions + d
                trace, last = self.traces[n], None if d_last is None else [state[n] for state in d_last]
                of_trace, dx = _backward(trace, _part(layer, dy, d), self.lengths, layer.zoneout, last)
                d_states.append(of_trace)
                d_inputs = d_inputs + dx
            dy = d_inputs
        return d_states[::-1]


def direction_names(layer):
    """Return the suffix of the parameters of each direction of each layer, in the order of the layer's states."""
    return tuple(f"l{k}{suffix}" for k in range(layer.num_layers) for suffix in ("", "_reverse")[: layer.directions])


def direction_index(layer, names):
    """Return the place of a layer and direction among the `direction_names`."""
    check_choice("layer", layer, names)
    return names.index(layer)


def on_host(layer, results):
    """Return a layer's result, an array or a tuple of arrays and tuples, on the host."""
    if isinstance(results, tuple):
        return tuple(on_host(layer, result) for result in results)
    return layer.backend.to_numpy(results)


def unroll(layer, sequences):
    """Run a recurrent layer over sequences, as at prediction, and keep everything.

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
        The layer has an option that this module does not know.
    """
    whole = _copy(layer)
    whole.load_state_dict(layer.state_dict())
    lengths = np.array([len(sequence) for sequence in sequences], np.intp)
    x = np.zeros((lengths.max(initial=0), len(sequences), layer.input_size))
    for b, sequence in enumerate(sequences):
        x[: lengths[b], b] = sequence
    y, _, states = on_host(whole, whole.forward(x, lengths=lengths, return_all_states=True))
    states = state_parts(states)  # of (layers · directions, T, B, size)
    inputs, traces = x, []
    for k in range(layer.num_layers):
        place = range(k * layer.directions, (k + 1) * layer.directions)
        traces += [_trace(whole, n, inputs, [state[n] for state in states], lengths) for n in place]
        outputs = _merged(layer, [states[0][n] for n in place])
        inputs = outputs + inputs if layer.residual and k > 0 else outputs
    _check(layer, whole, x, lengths, y, inputs)
    return Unrolled(whole, lengths, y, traces)


def _copy(layer, **changes):
    """Return a new layer in float64 that computes the same as `layer` at prediction, apart from `changes`."""
    options = {name: getattr(layer, name) for name in _OPTIONS}
    return Recurrent(layer.cell, **{**options, **changes}, dtype="float64", random_state=0, n_jobs=layer.n_jobs)


def _trace(whole, n, x, after, lengths):
    """Return the trace of direction n, which read x and had the states `after` each step."""
    single = _copy(whole, input_size=x.shape[2], num_layers=1, bidirectional=False, residual=False, reverse=False,
                   learn_initial_state=False, zoneout=0.0)  # fmt: skip
    name = direction_names(whole)[n]
    weights = whole.state_dict()
    single.load_state_dict({key: weights[f"{key.removesuffix('_l0')}_{name}"] for key in single.parameters})
    is_reverse = whole.reverse or name.endswith("_reverse")
    before = []
    for state, values in zip(whole.cell.states, after, strict=True):
        initial = weights[f"initial_{state}"][n] if whole.learn_initial_state else 0
        shifted = np.zeros_like(values)
        if is_reverse:
            shifted[:-1] = values[1:]
            shifted[lengths[lengths > 0] - 1, np.flatnonzero(lengths)] = initial
        else:
            shifted[1:] = values[:-1]
            shifted[:1] = initial
        before.append(shifted)
    return Trace(single, is_reverse, x, before, after)


def _merged(layer, outputs):
    """Return the merged outputs (T, B, n) of the directions."""
    if layer.merge == "concat":
        return np.concatenate(outputs, axis=2)
    return sum(outputs) / (len(outputs) if layer.merge == "mean" else 1)


def _part(layer, dy, direction):
    """Return the gradient (T, B, n) of one direction's output from that of the merged output."""
    if layer.merge == "concat":
        return np.split(dy, layer.directions, axis=2)[direction]
    return dy / (layer.directions if layer.merge == "mean" else 1)


def _backward(trace, dy, lengths, zoneout, d_last):
    """Return the gradients by the states after each step and by x, from those by the outputs and by the last states."""
    d_states, dx = [np.zeros_like(state) for state in trace.after], np.zeros_like(trace.x)
    d_state = [np.zeros_like(state[0]) for state in trace.after]  # (B, size): the part from the steps read later
    none = np.zeros_like(trace.after[0][:1])
    for t in range(len(dx)) if trace.is_reverse else reversed(range(len(dx))):
        alive = lengths > t
        d_state[0] = d_state[0] + dy[t]
        if d_last is not None:
            is_last = alive if trace.is_reverse and t == 0 else (lengths == t + 1) & (not trace.is_reverse)
            d_state = [d + np.where(is_last[:, None], last, 0) for d, last in zip(d_state, d_last, strict=True)]
        for recorded, values in zip(d_states, d_state, strict=True):
            recorded[t] = np.where(alive[:, None], values, 0)
        # At prediction, zoneout mixes the old values and the new ones.
        new, old = ([share * d for share, d in zip(shares, d_state, strict=True)]
                    for shares in ([1 - p for p in zoneout], zoneout))  # fmt: skip
        trace.single.forward(trace.x[t : t + 1], _as_state([s[t] for s in trace.before]), alive.astype(int), True)
        dx[t : t + 1], before = on_host(trace.single, trace.single.backward(none, _as_state(new)))
        before = state_parts(before)
        d_state = [through[0] + kept for through, kept in zip(before, old, strict=True)]
    return d_states, dx


def _as_state(parts):
    """Return states (B, size) as the layer of one direction takes them."""
    return parts[0][None] if len(parts) == 1 else tuple(part[None] for part in parts)


def _check(layer, whole, x, lengths, y, together):
    """Raise NotImplementedError if the copy, or the merge of its states, differs from the layer."""
    first, few = x[:_COMPARED_STEPS], np.minimum(lengths, _COMPARED_STEPS)
    expected, _ = on_host(layer, layer.forward(first.swapaxes(0, 1) if layer.batch_first else first, lengths=few))
    expected = expected.swapaxes(0, 1) if layer.batch_first else expected
    got, _ = on_host(whole, whole.forward(first, lengths=few))
    if not (_are_close(got, expected, 1e-3) and _are_close(y, together, 1e-9)):
        raise NotImplementedError(f"{type(layer).__name__}: inspection does not know all that this layer computes.")


def _are_close(a, b, tolerance):
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance * abs(b).max(initial=0))
