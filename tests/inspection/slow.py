"""Recurrent layers step by step on `tests.reference`, with a hand in between: any state can be shifted on its way."""

import numpy as np

from tests import reference


def run(cell, x, parameters, num_layers=1, bidirectional=False, shift=None):
    """Return the states (N, T, H) of every direction of every layer, in time order, of one sequence x (T, D).

    `shift` = (layer · direction, time, state, vector): is added to that state before anything reads it.
    """
    directions = 2 if bidirectional else 1
    everything = []
    for k in range(num_layers):
        outputs = []
        for d in range(directions):
            suffix = f"_l{k}" + ("_reverse" if d else "")
            p = {n.removesuffix(suffix): np.asarray(v, float) for n, v in parameters.items() if n.endswith(suffix)}
            states = np.zeros((2 if cell == "lstm" else 1, len(x), p["weight_hh"].shape[1]))
            current = tuple(np.zeros((len(states), states.shape[2])))
            for t in reversed(range(len(x))) if d else range(len(x)):
                current = reference.step(cell, x[t], current, p)
                if shift is not None and shift[:2] == (k * directions + d, t):
                    current = tuple(s + shift[3] if n == shift[2] else s for n, s in enumerate(current))
                states[:, t] = current
            outputs.append(states[0])
            everything.append(states)
        x = np.concatenate(outputs, axis=1)
    return everything


def gradient_norm(loss, place, hidden, epsilon=1e-5):
    """Return the norm of the gradient of loss(shift) by the state at `place`, by central differences."""
    moved = [(loss((*place, epsilon * e)), loss((*place, -epsilon * e))) for e in np.eye(hidden)]
    return np.linalg.norm([above - below for above, below in moved]) / (2 * epsilon)
