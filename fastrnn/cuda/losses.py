"""Losses of a batch of outputs, computed in float64, as in `fastrnn.kernels.losses`: a block for each example.

Each function writes the gradient of the outputs and returns the weighted sum of the examples' losses: the device is
waited for once.
"""

import math

import numpy as np
from numba import cuda, float64

from fastrnn.cuda.arrays import asarray, empty, to_numpy
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import block_maximum, block_sum


def categorical_cross_entropy(d_outputs, outputs, targets, weights):
    """Compute Σ weights · −log p(target), see `fastrnn.kernels.losses.categorical_cross_entropy`."""
    return _weighted(_categorical, d_outputs, outputs, asarray(targets, "int64"), weights)


@kernel
def _categorical(losses, d_outputs, outputs, targets, weights):
    # losses (B,), d_outputs (B, K) or None, outputs (B, K), targets (B,), weights (B,)
    shared, classes = cuda.shared.array(0, float64), outputs.shape[1]
    for row in range(cuda.blockIdx.x, outputs.shape[0], cuda.gridDim.x):
        largest = float64(-math.inf)
        for k in range(cuda.threadIdx.x, classes, cuda.blockDim.x):
            largest = max(largest, float64(outputs[row, k]))
        largest = block_maximum(largest, shared)
        added = float64(0.0)
        for k in range(cuda.threadIdx.x, classes, cuda.blockDim.x):
            added += math.exp(float64(outputs[row, k]) - largest)
        added = block_sum(added, shared)
        if d_outputs is not None:
            for k in range(cuda.threadIdx.x, classes, cuda.blockDim.x):
                p = math.exp(float64(outputs[row, k]) - largest) / added
                d_outputs[row, k] = weights[row] * (p - 1 if k == targets[row] else p)
        if cuda.threadIdx.x == 0:
            losses[row] = math.log(added) - (float64(outputs[row, targets[row]]) - largest)


def binary_cross_entropy(d_outputs, outputs, targets, weights):
    """Compute Σ weights · Σ cross-entropies of labels, see `fastrnn.kernels.losses.binary_cross_entropy`."""
    return _weighted(_binary, d_outputs, outputs, asarray(targets, "float64"), weights)


@kernel
def _binary(losses, d_outputs, outputs, targets, weights):
    # losses (B,), d_outputs (B, K) or None, outputs, targets (B, K), weights (B,)
    shared = cuda.shared.array(0, float64)
    for row in range(cuda.blockIdx.x, outputs.shape[0], cuda.gridDim.x):
        added = float64(0.0)
        for k in range(cuda.threadIdx.x, outputs.shape[1], cuda.blockDim.x):
            z, target = float64(outputs[row, k]), targets[row, k]
            added -= target * log_sigmoid(z) + (1 - target) * log_sigmoid(-z)
            if d_outputs is not None:
                d_outputs[row, k] = weights[row] * (math.exp(log_sigmoid(z)) - target)
        added = block_sum(added, shared)
        if cuda.threadIdx.x == 0:
            losses[row] = added


@device_function
def log_sigmoid(z):
    """Return log(1 / (1 + e^−z)) in float64, without overflow."""
    return min(z, 0.0) - math.log1p(math.exp(-abs(z)))


def half_squared_error(d_outputs, outputs, targets, weights):
    """Compute Σ weights · ½ Σ (output − target)², see `fastrnn.kernels.losses.half_squared_error`."""
    return 0.5 * _weighted(_squared, d_outputs, outputs, asarray(targets, "float64"), weights)


@kernel
def _squared(losses, d_outputs, outputs, targets, weights):
    # losses (B,), d_outputs (B, K) or None, outputs, targets (B, K), weights (B,)
    shared = cuda.shared.array(0, float64)
    for row in range(cuda.blockIdx.x, outputs.shape[0], cuda.gridDim.x):
        added = float64(0.0)
        for k in range(cuda.threadIdx.x, outputs.shape[1], cuda.blockDim.x):
            error = float64(outputs[row, k]) - targets[row, k]
            added += error * error
            if d_outputs is not None:
                d_outputs[row, k] = weights[row] * error
        added = block_sum(added, shared)
        if cuda.threadIdx.x == 0:
            losses[row] = added


def _weighted(loss, d_outputs, outputs, targets, weights):
    """Return the sum of the losses of all rows times their weights."""
    losses, weights = empty(outputs.shape[0], "float64"), np.asarray(weights, np.float64)
    loss.over_rows(len(losses), losses, d_outputs, outputs, targets, asarray(weights), shared=8 * device().threads)
    return float(to_numpy(losses) @ weights)
