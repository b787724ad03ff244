"""Drawing sequences of tokens from any decoder, those of several inputs at a time.

`fastrnn.language.search` describes decoders. Each sequence has random numbers of its own, so that it does not depend on
the others.
"""

import numpy as np

from fastrnn.kernels.sampling import draw_tokens
from fastrnn.language.hypotheses import Constraints, Hypotheses
from fastrnn.language.search import Candidate


def draw_sequences(
    start, advance, take, *, end_id, choice, uniforms, max_length=100, forbidden=(), prefixes=None, min_length=0
):
    """Draw a sequence of tokens for each input.

    Parameters
    ----------
    start, advance, take
        The decoder.
    end_id : int
        The token that ends a sequence; also drawn where no token can follow.
    choice : fastrnn.kernels.sampling.Choice
    uniforms : float64 array (n_inputs, T)
        Random numbers from 0 to below 1, one for each token; T is at least `max_length`.
    max_length, forbidden, prefixes, min_length
        As in `fastrnn.language.search.beam_search`.

    Returns
    -------
    list of Candidate
        The sequence of each input. The score is the log probability, which is that of the decoder, whatever `choice`
        is.
    """
    log_probs, state = start
    constraints, open_ones = Constraints(end_id, forbidden, prefixes, min_length), Hypotheses.start(len(log_probs))
    limits, drawn = np.broadcast_to(np.asarray(max_length), len(log_probs)), [None] * len(log_probs)
    while len(open_ones.inputs):
        constraints.apply(log_probs, open_ones)
        length = open_ones.tokens.shape[1]
        p = np.exp(log_probs - np.maximum(log_probs.max(axis=1, keepdims=True), np.finfo(float).min))
        chosen = draw_rows(p, choice, uniforms[open_ones.inputs, length], end_id)
        totals = open_ones.log_probs + log_probs[np.arange(len(chosen)), chosen]
        tokens = np.concatenate([open_ones.tokens, chosen[:, np.newaxis]], axis=1)
        ended, full = chosen == end_id, limits[open_ones.inputs] <= length + 1
        for row in np.flatnonzero(ended | full).tolist():
            ids, total = tokens[row, : length + 1 - ended[row]].tolist(), float(totals[row])
            drawn[open_ones.inputs[row]] = Candidate(total, total, ids)
        rows = np.flatnonzero(~(ended | full))
        open_ones = Hypotheses(open_ones.inputs, totals, tokens).take(rows)
        if len(rows):
            log_probs, state = advance(take(state, rows), chosen[rows])
    return drawn


def draw_rows(p, choice, uniforms, end_id):
    """Draw one token a row.

    Parameters
    ----------
    p : C-contiguous float64 array (n, V)
        Probabilities, up to a factor for each row; overwritten.
    choice : fastrnn.kernels.sampling.Choice
    uniforms : float64 array (n,)
        Random numbers, from 0 to below 1.
    end_id : int
        Drawn where nothing has a probability.

    Returns
    -------
    int32 array (n,)
    """
    if choice.temperature != 1:
        p /= np.maximum(p.max(axis=1, keepdims=True), np.finfo(p.dtype).tiny)  # the largest stays 1 at any temperature
        np.power(p, 1 / choice.temperature, out=p)
    drawn = np.empty(len(p), np.int32)
    draw_tokens(drawn, p, choice.top_k, choice.top_p, uniforms, end_id)
    return drawn


def numbered_uniforms(seed, numbers, length):
    """Return the random numbers of numbered sequences: those of a sequence depend on its number and the seed alone.

    Parameters
    ----------
    seed : int
    numbers : int array (n,)
    length : int

    Returns
    -------
    float64 array (n, length)
        From 0 to below 1; a larger `length` continues each row.
    """
    uniforms = np.empty((len(numbers), length))
    for row, number in zip(uniforms, np.asarray(numbers).tolist(), strict=True):
        row[:] = np.random.Generator(np.random.Philox(key=(seed, number))).random(length)
    return uniforms
