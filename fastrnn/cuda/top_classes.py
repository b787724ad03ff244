"""The most probable classes of an output layer: logits of the device, compared on the host."""

import numpy as np
from scipy.special import logsumexp

from fastrnn.cuda.arrays import empty, to_numpy
from fastrnn.cuda.dense import dense_forward


def most_probable(log_probs, classes, x, weight, bias, allowed, n_jobs=None):
    """Find the allowed classes with the largest log softmax(x·Wᵀ + b) of each row, the largest first.

    Of equal logits the first class is preferred. Where fewer classes are allowed, the rest is minus infinity. All
    classes count in the softmax.
    """
    # log_probs (R, count) float64, classes (R, count) int32, both of the host; x (R, H), weight (V, H), bias (V,),
    # allowed (V,) bool of the host
    logits = empty((x.shape[0], weight.shape[0]), x.dtype)
    dense_forward(logits, x, weight, bias, by_rows=True)
    values = to_numpy(logits).astype(np.float64)
    normalizers = logsumexp(values, axis=1, keepdims=True)
    values[:, ~allowed] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")[:, : log_probs.shape[1]]
    log_probs[:], classes[:] = -np.inf, 0
    classes[:, : order.shape[1]] = order
    log_probs[:, : order.shape[1]] = np.take_along_axis(values, order, axis=1) - normalizers
