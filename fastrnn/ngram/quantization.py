"""Quantization of values to 8 bits: the 256 numbers with the smallest errors."""

import numpy as np

N_CODES = 256

_ITERATIONS = 20


def quantize(values, use):
    """Replace values by codes of the nearest ones among at most 256.

    Parameters
    ----------
    values : float32 array (n,)
        Finite, or minus infinity, which keeps a code of its own.
    use : float64 array (n,)
        The relative frequency of looking each value up. Half of the weight of an error is in proportion to it.

    Returns
    -------
    codes : uint8 array (n,)
    codebook : float32 array (256,)
        The value of each code: the means that minimize the squared errors, by Lloyd's algorithm.

    References
    ----------
    Stuart P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
    """
    finite = np.isfinite(values)
    different, places = np.unique(values[finite], return_inverse=True)
    weights = use[finite] / max(use[finite].sum(), np.finfo(float).tiny) + 1 / max(1, len(values))
    centers = _find_centers(different.astype(np.float64), np.bincount(places, weights, minlength=len(different)))
    codebook = np.full(N_CODES, -np.inf, np.float32)
    codebook[1 : 1 + len(centers)] = centers  # code 0 is minus infinity
    codes = np.zeros(len(values), np.uint8)
    codes[finite] = 1 + np.searchsorted((centers[1:] + centers[:-1]) / 2, different)[places]
    return codes, codebook


def _find_centers(values, weights):
    """Return at most 255 numbers, ascending, for sorted and different values, float64 (n,)."""
    n_centers = N_CODES - 1
    if len(values) <= n_centers:
        return values
    # The best density of many centers is the third root of the weights: begin with that.
    shares = np.cumsum(np.cbrt(weights))
    centers = np.unique(values[np.searchsorted(shares, shares[-1] * (np.arange(n_centers) + 0.5) / n_centers)])
    totals = np.concatenate([[0.0], np.cumsum(weights)])
    sums = np.concatenate([[0.0], np.cumsum(weights * values)])
    for _ in range(_ITERATIONS):
        bounds = np.searchsorted(values, (centers[1:] + centers[:-1]) / 2)
        bounds = np.concatenate([[0], bounds, [len(values)]])
        own = np.diff(totals[bounds])  # the weight of the values nearest to each center
        centers = np.diff(sums[bounds])[own > 0] / own[own > 0]
    return centers
