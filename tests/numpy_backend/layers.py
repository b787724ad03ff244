"""Layers but the recurrent ones, from the equations, and the masks of dropout."""

import itertools

import numpy as np

from tests.numpy_backend.products import outer, times
from tests.reference_counters import kept


def product(c, a, b, n_jobs=None):
    c += times(a, b.T)


def dense_forward(y, x, weight, bias, n_jobs=None, by_rows=False):
    y[...] = times(x, weight) + (0 if bias is None else bias)


def dense_backward(dx, dweight, dbias, dy, x, weight, n_jobs=None):
    dx[...] = times(dy, weight.T)
    dweight += outer(dy, x)
    if dbias is not None:
        dbias += dy.sum(axis=0)


ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
SLOPES = {"relu": lambda y: (y > 0).astype(y.dtype), "tanh": lambda y: 1 - y**2, "sigmoid": lambda y: y * (1 - y)}


def activate(y, activation):
    y[...] = ACTIVATIONS[activation](y)


def activation_gradient(dy, y, activation):
    return dy * SLOPES[activation](y)


# ------------------------------------------------------------------------------------------------------------ masks


def dropout(out, x, p, seed, number, sequences, steps, n_jobs=None):
    out[...] = x * kept(p, seed, number, sequences, steps, x.shape[1]) * x.dtype.type(1 / (1 - p))


def keep_mask(out, p, factor, seed, number, sequences, steps, n_jobs=None):
    out[...] = factor * kept(p, seed, number, sequences, steps, out.shape[1])


# ------------------------------------------------------------------------------------------------------- embeddings


def embedding_forward(out, weight, ids, factors=None):
    out[...] = weight[ids] * (1 if factors is None else factors[ids])


def embedding_backward(dweight, dout, ids, padding_idx, factors=None):
    used = ids != padding_idx
    np.add.at(dweight, ids[used], (dout if factors is None else dout * factors[ids])[used])


def bag_forward(out, weight, ids, factors, offsets):
    for b, (begin, end) in enumerate(itertools.pairwise(offsets)):
        part = 1 if factors is None else factors[b, : end - begin, None]
        out[b] = (weight[ids[begin:end]] * part).sum(axis=0) / max(end - begin, 1)


def bag_backward(dweight, dout, ids, factors, offsets):
    for b, (begin, end) in enumerate(itertools.pairwise(offsets)):
        part = np.ones((end - begin, 1)) if factors is None else factors[b, : end - begin, None]
        np.add.at(dweight, ids[begin:end], part * dout[b] / max(end - begin, 1))


# ---------------------------------------------------------------------------------------------------------- pooling


def last_pooling_forward(out, y, lengths, bidirectional):
    half = out.shape[1] // 2 if bidirectional else out.shape[1]
    for b, length in enumerate(lengths):
        out[b] = np.concatenate([y[length - 1, b, :half], y[0, b, half:]]) if length else 0


def last_pooling_backward(dy, dout, lengths, bidirectional):
    half = dout.shape[1] // 2 if bidirectional else dout.shape[1]
    dy[...] = 0
    for b, length in enumerate(lengths):
        if length:
            dy[length - 1, b, :half] = dout[b, :half]
            dy[0, b, half:] = dout[b, half:]


def mean_pooling_forward(out, y, lengths):
    for b, length in enumerate(lengths):
        out[b] = y[:length, b].sum(axis=0) / max(length, 1)


def mean_pooling_backward(dy, dout, lengths):
    dy[...] = 0
    for b, length in enumerate(lengths):
        dy[:length, b] = dout[b] / max(length, 1)


def max_pooling_forward(out, y, lengths):
    where = np.full(out.shape, -1)
    for b, length in enumerate(lengths):
        out[b] = y[:length, b].max(axis=0) if length else 0
        where[b] = y[:length, b].argmax(axis=0) if length else -1
    return where


def max_pooling_backward(dy, dout, where):
    dy[...] = 0
    for b, j in np.argwhere(where >= 0):
        dy[where[b, j], b, j] = dout[b, j]


def attention_pooling_forward(out, shares, y, scores, lengths):
    shares[...] = 0
    for b, length in enumerate(lengths):
        p = np.exp(scores[:length, b] - scores[:length, b].max(initial=-np.inf))
        shares[:length, b] = p / p.sum() if length else 0
        out[b] = (shares[:length, b, None] * y[:length, b]).sum(axis=0)


def attention_pooling_backward(dy, dscores, dout, shares, y, lengths):
    dy[...] = shares[..., None] * dout
    slopes = np.zeros_like(shares)
    for b, length in enumerate(lengths):
        slopes[:length, b] = (y[:length, b] * dout[b]).sum(axis=1)
    dscores[...] = shares * (slopes - (shares * slopes).sum(axis=0))


def activity_penalty(y, alpha):
    return alpha * float((y.astype(float) ** 2).sum()) / max(y.size, 1)


def activity_penalty_gradient(dy, y, alpha):
    dy[...] = 2 * alpha / max(y.size, 1) * y


def temporal_activity_penalty(y, beta):
    change = y[1:] - y[:-1]
    return beta * float((change.astype(float) ** 2).sum()) / max(change.size, 1)


def temporal_activity_penalty_gradient(dy, y, beta):
    change = y[1:] - y[:-1]
    factor = beta / max(change.size, 1)
    dy[...] = 0
    dy[1:] += 2 * factor * change
    dy[:-1] -= 2 * factor * change


# ---------------------------------------------------------------------------------------------------------- softmax


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    logits[...] = p / p.sum(axis=1, keepdims=True)


def log_softmax(x, weight, bias):
    logits = times(x, weight) + bias
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def cross_entropy_forward(log_probs, x, weight, bias, targets, n_jobs=None):
    log_probs[...] = log_softmax(x, weight, bias)[np.arange(len(x)), targets]


def cross_entropy_backward(
    log_probs, dx, dweight, dbias, x, weight, bias, targets, weights, smoothing=0.0, n_jobs=None
):
    log_p = log_softmax(x, weight, bias)
    log_probs[...] = log_p[np.arange(len(x)), targets]
    wanted = np.zeros_like(log_p)
    wanted[np.arange(len(x)), targets] = 1
    if smoothing:
        log_probs[...] = (1 - smoothing) * log_probs + smoothing * log_p.mean(axis=1)
        wanted = (1 - smoothing) * wanted + smoothing / len(bias)
    dlogits = (np.exp(log_p) - wanted) * weights[:, None]
    dx[...] = times(dlogits, weight.T)
    dweight += outer(dlogits, x)
    dbias += dlogits.sum(axis=0)


def join_clusters(out, head, tails, order):
    frequent = head.shape[1] - len(tails)
    parts = [head[:, :frequent], *(head[:, frequent + k, None] * tail for k, tail in enumerate(tails))]
    out[:, order] = np.concatenate(parts, axis=1)


# ------------------------------------------------------------------------------------------------------------- rows


def take_rows(array, rows, axis=0):
    return np.take(array, rows, axis)


def assign_rows(out, rows, values):
    out[rows] = values


def spread_rows(values, rows, count):
    full = np.zeros((count, *values.shape[1:]), values.dtype)
    full[rows] = values
    return full


def add_to_rows(out, rows, values):
    out[rows] += values


def pack_logit_map(weight, bias):
    return weight.copy(), bias.copy()
