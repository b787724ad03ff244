"""Recurrent layers step by step on `tests.reference`, with a hand in between: any state can be shifted on its way."""

import numpy as np

from tests import reference


def run(cell, x, layer, shift=None):
    """Return the output (T, n) for one sequence x (T, D), and the states of every direction of every layer.

    The states are lists of arrays (T, size) in time order. Of `layer`, parameters and options are read. `shift` =
    (direction, time, state, vector) is added to that state before anything reads it.
    """
    parameters = {name: array.astype(float) for name, array in layer.parameters.items()}
    everything = []
    for k in range(layer.num_layers):
        outputs = []
        for d in range(layer.directions):
            n = k * layer.directions + d
            suffix = f"_l{k}" + ("_reverse" if d else "")
            p = {name.removesuffix(suffix): value for name, value in parameters.items() if name.endswith(suffix)}
            current = start(layer, parameters, n)
            states = [np.zeros((len(x), len(part))) for part in current]
            for t in reversed(range(len(x))) if d or layer.reverse else range(len(x)):
                new = reference.step(cell, x[t], current, p)
                current = [z * a + (1 - z) * b for z, a, b in zip(layer.zoneout, current, new, strict=True)]
                if shift is not None and shift[:2] == (n, t):
                    current[shift[2]] = current[shift[2]] + shift[3]
                for kept, part in zip(states, current, strict=True):
                    kept[t] = part
            outputs.append(states[0])
            everything.append(states)
        y = np.concatenate(outputs, axis=1) if layer.merge == "concat" else sum(outputs)
        y = y / 2 if layer.merge == "mean" and len(outputs) == 2 else y
        x = y + x if layer.residual and k else y
    return x, everything


def start(layer, parameters, n):
    """Return the initial states of a direction."""
    sizes = [layer.proj_size or layer.hidden_size] + [layer.hidden_size] * (len(layer.cell.states) - 1)
    if layer.learn_initial_state:
        return [parameters[f"initial_{state}"][n] for state in layer.cell.states]
    return [np.zeros(size) for size in sizes]


def gradient_norm(loss, place, size, epsilon=1e-5):
    """Return the norm of the gradient of loss(shift) by the state at `place`, by central differences."""
    moved = [(loss((*place, epsilon * e)), loss((*place, -epsilon * e))) for e in np.eye(size)]
    return np.linalg.norm([above - below for above, below in moved]) / (2 * epsilon)
