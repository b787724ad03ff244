"""The linear-chain conditional random field: its loss with the gradient, marginals of the tags, and the best path.

A path y of tags through T steps has the score

    s(y) = start[y_0] + Σ_t emissions[t, y_t] + Σ_{t>0} transitions[y_{t-1}, y_t] + end[y_{T-1}]

and the probability exp(s(y)) / Z, where Z sums over all paths (Lafferty, McCallum and Pereira 2001). Forward and
backward sums (Rabiner 1989) go through the steps once each:

    α_0 = exp(start + emissions_0)    α_t[j] = exp(emissions_t[j]) · Σ_i α_{t-1}[i] · exp(transitions[i, j])
    β_{T-1} = exp(end)                β_t[i] = Σ_j exp(transitions[i, j] + emissions_{t+1}[j]) · β_{t+1}[j]

The marginal of tag j at step t is α_t[j] · β_t[j] / Z, that of two neighbours is α_t[i] · exp(transitions[i, j] +
emissions_{t+1}[j]) · β_{t+1}[j] / Z. The gradient of log Z by a score is the marginal of what it scores.

`kernels.crf_sums` has these recursions, on scaled numbers and, where scores differ too much for that, on logarithms.
Everything is computed in float64, each sequence on its own: results do not depend on the batch. A score of minus
infinity forbids what it scores.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.crf_sums import (
    compute_factors,
    log_backward,
    log_forward,
    padded_rows,
    scaled_backward,
    scaled_forward,
)
from fastrnn.kernels.maximum import maximum
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import lanes, load, store

_WIDTH = 8  # rows of tags are padded to a multiple: float64 in the longest vector
_LEAST_CHUNK, _MOST_CHUNKS = 8, 16


def crf_loss(d_emissions, d_transitions, d_start, d_end, emissions, transitions, start, end, tags, lengths, weights,
             n_jobs=None):  # fmt: skip
    """Compute Σ weights · −log p(tags), and its gradient.

    Parameters
    ----------
    d_emissions : array (T, B, K) or None
        The gradient is written here, 0 after the end of a sequence; None computes the loss only.
    d_transitions : array (K, K) or None
    d_start, d_end : array (K,) or None
        The gradients are added here; None if `d_emissions` is None.
    emissions : array (T, B, K)
    transitions : array (K, K)
        Element (i, j) is the score of tag j after tag i.
    start, end : array (K,)
    tags : int array (T, B)
        Ignored after the end of a sequence.
    lengths : int array (B,) or None
        Steps of each sequence, 0 allowed; None if all have T.
    weights : array (B,)
    n_jobs : int or None, default=None

    Returns
    -------
    float
        Infinity if a path with a weight is forbidden, or no path is allowed.

    Examples
    --------
    >>> import numpy as np
    >>> emissions, nothing = np.log([[[3.0, 1.0]]]), np.zeros(2)
    >>> round(crf_loss(None, None, None, None, emissions, np.zeros((2, 2)), nothing, nothing, np.array([[1]]), None,
    ...                np.ones(1)), 4)  # log 4
    1.3863
    """
    # Copies, because kernels are compiled once more for arrays that are read-only or not contiguous.
    tags, weights = np.array(tags, np.int64, order="C"), np.array(weights, np.float64, order="C")
    losses, counts = _run(d_emissions, emissions, (transitions, start, end), tags, lengths, weights, n_jobs)
    if d_emissions is not None:
        size, total = emissions.shape[2], counts.sum(axis=0)
        d_start += total[0, :size]
        d_end += total[1, :size]
        d_transitions += total[2 : 2 + size, :size]
    used = weights != 0
    return float(losses[used] @ weights[used])


def crf_marginals(marginals, emissions, transitions, start, end, lengths, n_jobs=None):
    """Compute the probability of each tag at each step, given the whole sequence.

    Parameters
    ----------
    marginals : array (T, B, K)
        Written; 0 after the end of a sequence, and in one that has no allowed path.
    emissions, transitions, start, end, lengths, n_jobs : as in `crf_loss`

    Examples
    --------
    >>> import numpy as np
    >>> marginals, nothing = np.empty((1, 1, 2)), np.zeros(2)
    >>> crf_marginals(marginals, np.log([[[3.0, 1.0]]]), np.zeros((2, 2)), nothing, nothing, None)
    >>> marginals.round(4)
    array([[[0.75, 0.25]]])
    """
    batch = emissions.shape[:2]
    _run(marginals, emissions, (transitions, start, end), np.full(batch, -1), lengths, np.ones(batch[1]), n_jobs)


def crf_viterbi(tags, scores, emissions, transitions, start, end, lengths, n_jobs=None):
    """Find the path of the highest score in each sequence; among equals, tags of the lowest number from the end on.

    Parameters
    ----------
    tags : int32 array (T, B)
        Written; -1 after the end of a sequence.
    scores : float64 array (B,)
        Of the paths; 0 for an empty sequence, minus infinity if no path is allowed.
    emissions, transitions, start, end, lengths, n_jobs : as in `crf_loss`

    Examples
    --------
    >>> import numpy as np
    >>> tags, scores, nothing = np.empty((2, 1), np.int32), np.empty(1), np.zeros(2)
    >>> crf_viterbi(tags, scores, np.array([[[1.0, 0.0]], [[0.0, 0.5]]]), np.eye(2), nothing, nothing, None)
    >>> tags[:, 0], scores
    (array([0, 0], dtype=int32), array([2.]))
    """
    steps, batch, size = emissions.shape
    threads = worth(n_jobs, 2 * emissions.size * size)
    room = borrow_room(np.dtype(np.float64))
    model = _scores(room, transitions, start, end)
    cuts = split(batch, threads)
    best = room.take("best", len(cuts), steps * model.shape[1])
    lengths = _lengths(lengths, steps, batch)
    emissions = np.ascontiguousarray(emissions)
    run_kernel(crf_paths, [
        (tags, scores, emissions, model, best[k], lengths, first, last) for k, (first, last) in enumerate(cuts)
    ])  # fmt: skip
    give_back(room)


def _run(out, emissions, model, tags, lengths, weights, n_jobs):
    """Compute −log p(tags) of each sequence, log Z where a tag is -1, and the weighted gradient of their sum.

    Returns
    -------
    losses : float64 array (B,)
    counts : float64 array (chunks, rows, width)
        The gradients of start, end and transitions, in parts: by chunks of sequences that do not depend on the threads.
    """
    steps, batch, size = emissions.shape
    room = borrow_room(np.dtype(np.float64))
    scores = _scores(room, *model)
    width = scores.shape[1]
    factors, largest = room.take("factors", 2 + 2 * padded_rows(size), width), room.take("largest", 4)
    compute_factors(factors, largest, scores)
    chunk = max(_LEAST_CHUNK, -(-batch // _MOST_CHUNKS))
    chunks = 0 if out is None else -(-batch // chunk)
    counts, losses = np.zeros((chunks, 2 + padded_rows(size), width)), np.empty(batch)
    cuts = split(batch, worth(n_jobs, 6 * emissions.size * size), chunk)
    scratch = room.take("scratch", len(cuts), (2 * width + 1) * steps + 3 * width)
    lengths = _lengths(lengths, steps, batch)
    emissions = np.ascontiguousarray(emissions)
    run_kernel(crf_sequences, [
        (losses, emissions if out is None else out, counts, emissions, scores, factors, largest, tags, lengths, weights,
         scratch[k], first, last, chunk)
        for k, (first, last) in enumerate(cuts)
    ])  # fmt: skip
    give_back(room)
    return losses, counts


def _lengths(lengths, steps, batch):
    return np.full(batch, steps, np.int64) if lengths is None else np.array(lengths, np.int64)


def _scores(room, transitions, start, end):
    """Return start, end and the rows of the transitions as float64 (2 + K, width), padded with minus infinity."""
    size = len(start)
    scores = room.take("scores", 2 + size, -(-size // _WIDTH) * _WIDTH)
    scores[:, size:] = -math.inf
    scores[0, :size], scores[1, :size], scores[2:, :size] = start, end, transitions
    return scores


# --------------------------------------------------------------------------------------------- loss and gradient


@kernel
def crf_sequences(board, thread, losses, out, counts, emissions, scores, factors, largest, tags, lengths, weights,
                  scratch, first, last, chunk):  # fmt: skip
    """Compute the losses of the sequences from `first` to `last`, and their gradients if `counts` has any chunk."""
    # losses (B,), out, emissions (T, B, K), counts (chunks, 2 + rows, width), scores (2 + K, width),
    # factors (2 + 2·rows, width), largest (4,), tags (T, B), lengths, weights (B,),
    # scratch ((2·width + 1)·T + 3·width,)
    enter(board, thread)
    steps, width = len(emissions), scores.shape[1]
    alpha, chances = scratch[: steps * width], scratch[steps * width : 2 * steps * width]
    rows, sums = scratch[2 * steps * width : (2 * steps + 3) * width], scratch[(2 * steps + 3) * width :]
    for b in range(first, last):
        length, log_z, scaled = lengths[b], 0.0, True
        if length > 0:
            log_z = scaled_forward(alpha, chances, sums, emissions, b, factors, largest, length)
            if len(counts) and not math.isnan(log_z):
                scaled = scaled_backward(out, counts[b // chunk], alpha, chances, sums, rows, b, factors, weights[b],
                                          length)  # fmt: skip
            if math.isnan(log_z) or not scaled:
                log_z = log_forward(alpha, rows, emissions, b, scores, length)
                if len(counts):
                    log_backward(out, counts[b // chunk], alpha, rows, emissions, b, scores, log_z, weights[b], length)
        if len(counts):
            for t in range(length, steps):
                out[t, b] = 0
        given = length > 0 and tags[0, b] >= 0
        losses[b] = log_z
        if given:
            score = _path_score(emissions, b, scores, tags, length)
            losses[b] = math.inf if min(log_z, score) == -math.inf else log_z - score
        if len(counts) and given:
            _subtract_path(out, counts[b // chunk], b, tags, weights[b], length)
    leave(board, thread)


@kernel(cache=False)
def _path_score(emissions, b, scores, tags, length):
    """Return the score of a path of tags."""
    score = scores[0, tags[0, b]] + scores[1, tags[length - 1, b]]
    for t in range(length):
        score += emissions[t, b, tags[t, b]]
        if t > 0:
            score += scores[2 + tags[t - 1, b], tags[t, b]]
    return score


@kernel(cache=False)
def _subtract_path(out, counts, b, tags, weight, length):
    """Subtract what a path of tags uses from the marginals."""
    counts[0, tags[0, b]] -= weight
    counts[1, tags[length - 1, b]] -= weight
    for t in range(length):
        out[t, b, tags[t, b]] -= weight
        if t > 0:
            counts[2 + tags[t - 1, b], tags[t, b]] -= weight


# ------------------------------------------------------------------------------------------------------------ paths


@kernel
def crf_paths(board, thread, tags, scores, emissions, model, best, lengths, first, last):
    """Find the best paths of the sequences from `first` to `last` (Viterbi)."""
    # tags (T, B) int32, scores (B,), emissions (T, B, K), model (2 + K, width), best (T·width,), lengths (B,)
    enter(board, thread)
    size, width = emissions.shape[2], model.shape[1]
    for b in range(first, last):
        length = lengths[b]
        for t in range(length):
            _best_step(best, emissions, b, t, model)
        for t in range(length, len(tags)):
            tags[t, b] = -1
        scores[b] = 0.0
        for t in range(length - 1, -1, -1):
            # The tag of the highest score, added to that of the step after it.
            high, tag = -math.inf, 0
            for i in range(size):
                after = model[1, i] if t == length - 1 else model[2 + i, tags[t + 1, b]]
                if best[t * width + i] + after > high:
                    high, tag = best[t * width + i] + after, i
            tags[t, b] = tag
            if t == length - 1:
                scores[b] = high
    leave(board, thread)


@kernel(cache=False)
def _best_step(best, emissions, b, t, model):
    """Compute the highest score of a path to each tag of step t: best_t[j] = max_i (best_{t-1}[i] + …)."""
    size, width = emissions.shape[2], model.shape[1]
    row = t * width
    if t == 0:
        for j in range(0, width, lanes(best)):
            store(best, j, load(model, j))
    else:
        for j in range(0, width, lanes(best)):
            highest = best[row - width] + load(model, 2 * width + j)
            for i in range(1, size):
                highest = maximum(best[row - width + i] + load(model, (2 + i) * width + j), highest)
            store(best, row + j, highest)
    for j in range(size):
        best[row + j] += emissions[t, b, j]
