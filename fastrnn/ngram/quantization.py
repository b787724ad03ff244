"""Values in 8 bits: the 256 numbers that come closest to those there are."""

import numpy as np

N_CODES = 256

_MAX_ITERATIONS = 50


def quantize(values):
    """Replace values by codes of the nearest ones among at most 256.

    Parameters
    ----------
    values : float32 array (n,)
        Finite, or minus infinity, which keeps a code of its own.

    Returns
    -------
    codes : uint8 array (n,)
    codebook : float32 array (256,)
        What they stand for: the means that minimize the squared errors, by Lloyd's algorithm from equal shares.

    References
    ----------
    Stuart P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
    """
    finite = np.sort(values[np.isfinite(values)]).astype(np.float64)
    different = np.unique(finite)
    if len(different) < N_CODES:
        centers = different
    else:
        centers = _improve(finite, np.unique(finite[np.linspace(0, len(finite) - 1, N_CODES - 1).astype(np.int64)]))
    codebook = np.full(N_CODES, -np.inf, np.float32)
    codebook[1 : 1 + len(centers)] = centers  # code 0 is minus infinity
    codes = np.zeros(len(values), np.uint8)
    if len(centers):
        codes[:] = 1 + np.searchsorted((centers[1:] + centers[:-1]) / 2, values)
    codes[np.isneginf(values)] = 0
    return codes, codebook


def _improve(values, centers):
    """Move centers to the means of the sorted values, float64 (n,), that are nearest to them."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    for _ in range(_MAX_ITERATIONS):
        bounds = np.searchsorted(values, (centers[1:] + centers[:-1]) / 2)
        bounds = np.concatenate([[0], bounds, [len(values)]])
        sizes = np.diff(bounds)
        means = np.diff(sums[bounds])[sizes > 0] / sizes[sizes > 0]
        if len(means) == len(centers) and np.allclose(means, centers, rtol=0, atol=1e-6):
            break
        centers = means
    return centers
