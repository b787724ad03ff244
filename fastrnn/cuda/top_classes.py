"""The most probable classes of an output layer: probabilities of the device, compared on the host."""

import numpy as np

from fastrnn.cuda.arrays import empty, to_numpy
from fastrnn.cuda.cross_entropy import softmax
from fastrnn.cuda.dense import dense_forward
from fastrnn.kernels.beams import best_extensions


def most_probable(log_probs, classes, x, weight, bias, allowed, n_jobs=None):
    """Find the allowed classes with the largest log softmax(x·Wᵀ + b) of each row, the largest first.

    Of equal probabilities the first class is preferred. Where fewer classes are allowed, the rest is minus infinity.
    All classes count in the softmax. Beams are followed on the host, so that probabilities come there, and no more.
    """
    # log_probs (R, count) float64, classes (R, count) int32, both of the host; x (R, H), weight (V, H), bias (V,),
    # allowed (V,) bool of the host
    log_probs[:], classes[:] = -np.inf, 0
    rows, count = log_probs.shape
    if not rows:
        return
    probabilities = empty((rows, weight.shape[0]), x.dtype)
    dense_forward(probabilities, x, weight, bias, by_rows=True)
    softmax(probabilities)
    values = np.array(to_numpy(probabilities))
    values[:, np.flatnonzero(~allowed)] = -np.inf
    places, counts, totals = np.empty((rows, count), np.int64), np.empty(rows, np.int64), np.empty((rows, count))
    best_extensions(places, classes, totals, counts, values, np.zeros(rows), np.arange(rows + 1))
    found = np.arange(count) < counts[:, np.newaxis]
    classes[~found] = 0
    with np.errstate(divide="ignore"):  # probability 0
        log_probs[found] = np.log(totals[found])
