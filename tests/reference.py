"""Slow float64 recurrent networks, written from the equations with NumPy, one sequence and one step at a time."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def step(cell, x, state, p):
    """Return the new state of one step; x (D,), states (H,), p the parameters of a direction as in the state dict."""
    h = state[0]
    xs = p["weight_ih"] @ x + p.get("bias_ih", 0)
    if cell == "indrnn":
        return (np.maximum(xs + p["weight_hh"] * h, 0),)
    w, b = p["weight_hh"], p.get("bias_hh", np.zeros(len(p["weight_hh"])))
    hs = w @ h + b
    n = len(p["weight_ih"])
    if cell == "rnn":
        return (np.tanh(xs + hs),)
    if cell in ("rnn_relu", "irnn"):
        return (np.maximum(xs + hs, 0),)
    if cell == "gru":
        (xr, xz, xn), (hr, hz, hn) = np.split(xs, 3), np.split(hs, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        new = np.tanh(xn + r * hn)
        return ((1 - z) * new + z * h,)
    if cell == "gru_reset_before":
        (xr, xz, xn), (hr, hz, _) = np.split(xs, 3), np.split(hs, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        cut = 2 * n // 3
        new = np.tanh(xn + w[cut:] @ (r * h) + b[cut:])
        return ((1 - z) * new + z * h,)
    if cell == "gru_simple":
        zz, zn = np.split(xs + hs, 2)
        z = sigmoid(zz)
        return ((1 - z) * np.tanh(zn) + z * h,)
    if cell == "mgu":
        (xf, xn), (hf, _) = np.split(xs, 2), np.split(hs, 2)
        f = sigmoid(xf + hf)
        new = np.tanh(xn + w[n // 2 :] @ (f * h) + b[n // 2 :])
        return ((1 - f) * h + f * new,)
    if cell == "gru_layer_norm":
        ax, ah = p["weight_norm_ih"] * layer_norm(xs), p["weight_norm_hh"] * layer_norm(hs)
        (xr, xz, xn), (hr, hz, hn) = np.split(ax + p["bias_norm"], 3), np.split(ah, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        new = np.tanh(xn + r * (hn + p["bias_norm_hn"]))
        return ((1 - z) * new + z * h,)
    if cell.startswith("lstm"):
        return lstm_step(cell, xs, hs, state, p)
    raise ValueError(f"tests/reference.py has no equations of the cell {cell!r}: write them here.")


def lstm_step(cell, xs, hs, state, p):
    c = state[1]
    if cell == "lstm_coupled":
        f, g, o = np.split(xs + hs, 3)
        c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    elif cell == "lstm_layer_norm":
        normalized = p["weight_norm_ih"] * layer_norm(xs) + p["weight_norm_hh"] * layer_norm(hs) + p["bias_norm"]
        i, f, g, o = np.split(normalized, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(p["weight_norm_c"] * layer_norm(c) + p["bias_norm_c"])
    else:
        i, f, g, o = np.split(xs + hs, 4)
        pi, pf, po = np.split(p.get("weight_peephole", np.zeros(3 * len(c))), 3)
        new = sigmoid(f + pf * c) * c + sigmoid(i + pi * c) * np.tanh(g)
        o = sigmoid(o + po * (c if cell == "lstm_peephole_before" else new))
        c, h = new, o * np.tanh(new)
    return (p["weight_hr"] @ h if "weight_hr" in p else h), c


def network(cell, x, state, lengths, parameters, num_layers=1, bidirectional=False, zoneout=None):
    """Return outputs (T, B, directions · H) and final states, a list of (layers · directions, B, size).

    x (T, B, D), state a list of (layers · directions, B, size), parameters as a state dict of float64 arrays. zoneout
    is the share of the old value in each state.
    """
    steps, batch, _ = x.shape
    final = [np.array(part, float) for part in state]
    directions = 2 if bidirectional else 1
    for k in range(num_layers):
        outputs = []
        for d in range(directions):
            suffix = f"_l{k}" + ("_reverse" if d else "")
            p = {n.removesuffix(suffix): np.asarray(v, float) for n, v in parameters.items() if n.endswith(suffix)}
            n = k * directions + d
            y = np.zeros((steps, batch, final[0].shape[2]))
            for b in range(batch):
                times = range(lengths[b])
                current = [part[n, b].copy() for part in final]
                for t in reversed(times) if d else times:
                    new = step(cell, x[t, b], current, p)
                    shares = zoneout or [0.0] * len(new)
                    current = [z * old + (1 - z) * value for z, old, value in zip(shares, current, new, strict=True)]
                    y[t, b] = current[0]
                for part, value in zip(final, current, strict=True):
                    part[n, b] = value
            outputs.append(y)
        x = np.concatenate(outputs, axis=2)
    return x, final


def attend(query, memory, p):
    """Return the context of a query (Q,) and the weights (S,) over the vectors of a memory (S, M).

    p are the parameters of an attention layer: of the additive score, of the general one, or none of the dot product.
    """
    if not len(memory):
        return np.zeros(memory.shape[1]), np.zeros(0)
    keys = memory @ p["weight_memory"].T if "weight_memory" in p else memory
    additive = "score" in p
    scores = np.tanh(p["weight_query"] @ query + p["bias"] + keys) @ p["score"] if additive else keys @ query
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    return weights @ memory, weights


def decoder(cell, x, state, lengths, memory, memory_lengths, parameters, num_layers, feeding, residual=False):
    """Return outputs (T, B, H + M), final states (a list) and weights (T, B, S) of a decoder with attention.

    x (T, B, D), state a list of (layers, B, size), memory (S, B, M), parameters as a state dict.
    """
    parameters = {name: np.asarray(value, float) for name, value in parameters.items()}
    of_attention = {n.removeprefix("attention."): v for n, v in parameters.items() if n.startswith("attention.")}
    layers = [{n.removesuffix(f"_l{k}"): v for n, v in parameters.items() if n.endswith(f"_l{k}")}
              for k in range(num_layers)]  # fmt: skip
    steps, batch, _ = x.shape
    final, size = [np.array(part, float) for part in state], state[0].shape[2]
    y, weights = np.zeros((steps, batch, size + memory.shape[2])), np.zeros((steps, batch, len(memory)))
    for b in range(batch):
        source = memory[: memory_lengths[b], b]
        for t in range(lengths[b]):
            current = [tuple(part[k, b].copy() for part in final) for k in range(num_layers)]
            context, of_step = attend(current[0][0], source, of_attention)
            lowest = np.concatenate([x[t, b], context]) if feeding else x[t, b]
            new = [step(cell, lowest, current[0], layers[0])]
            if not feeding:
                context, of_step = attend(new[0][0], source, of_attention)
            h = new[0][0]
            for k in range(1, num_layers):
                new.append(step(cell, np.concatenate([h, context]), current[k], layers[k]))
                h = new[k][0] + (h if residual else 0)
            for k, states in enumerate(new):
                for part, value in zip(final, states, strict=True):
                    part[k, b] = value
            y[t, b], weights[t, b, : len(source)] = np.concatenate([h, context]), of_step
    return y, final, weights


def central_difference(function, array, direction, epsilon=1e-6):
    """Return the slope of a scalar function of `array` along `direction`, changing the array and putting it back."""
    original = array.copy()
    array[...] = original + epsilon * direction
    above = function()
    array[...] = original - epsilon * direction
    below = function()
    array[...] = original
    return (above - below) / (2 * epsilon)
