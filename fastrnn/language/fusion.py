"""Decoders made of decoders: one with a language model mixed in, and the mean of several.

A decoder is the triple (start, advance, take) that `fastrnn.language.search` describes.
"""

import numpy as np

from fastrnn.text.normalization import preprocess


def with_language_model(decoder, model, weight, tokens):
    """Return a decoder that adds the log probabilities of a language model, times a weight, to its own.

    This is called shallow fusion [1]_. The sums are no longer probabilities, but can only fall with every token.

    Parameters
    ----------
    decoder : (start, advance, take)
    model : language model
        Fitted, of any kind. It reads the tokens of each sequence, from the start of a sentence.
    weight : float
        At least 0.
    tokens : list of str
        The decoder's tokens, in the order of their ids. The model reads those that it does not know as ``<unk>``.

    Returns
    -------
    (start, advance, take)

    References
    ----------
    .. [1] Çaglar Gülçehre et al., "On using monolingual corpora in neural machine translation", 2015.
    """
    if weight == 0:
        return decoder
    (log_probs, own), advance_own, take_own = decoder
    ids = model.vocabulary_.encode([preprocess(token, model.lowercase, model.normalize) for token in tokens])
    initial = model._read_contexts(*model.vocabulary_.encode_corpus([[]]))

    def mixed(log_probs, state):
        log_probs += weight * model._next_log_probs(state)[:, ids]
        return log_probs

    def advance(state, tokens):
        log_probs, own = advance_own(state[0], tokens)
        other = model._advance(state[1], ids[tokens])
        return mixed(log_probs, other), (own, other)

    def take(state, rows):
        return take_own(state[0], rows), model._take(state[1], rows)

    other = model._take(initial, np.zeros(len(log_probs), np.intp))
    return (mixed(log_probs, other), (own, other)), advance, take


def together(decoders, weights):
    """Return a decoder whose probabilities are the mean of those of several decoders of the same tokens.

    Parameters
    ----------
    decoders : list of (start, advance, take)
        At least one.
    weights : list of float
        The weight of each, of sum 1.

    Returns
    -------
    (start, advance, take)
        Its state is a tuple of the states of the decoders.
    """
    starts, advances, takes = zip(*decoders, strict=True)

    def mean(parts):
        log_probs, states = zip(*parts, strict=True)
        if len(log_probs) == 1:
            return log_probs[0], states
        with np.errstate(divide="ignore"):  # probability 0
            total = sum(weight * np.exp(part) for weight, part in zip(weights, log_probs, strict=True))
            return np.log(total), states

    def advance(states, tokens):
        return mean([step(state, tokens) for step, state in zip(advances, states, strict=True)])

    def take(states, rows):
        return tuple(part(state, rows) for part, state in zip(takes, states, strict=True))

    return mean(starts), advance, take
