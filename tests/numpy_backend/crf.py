"""The linear-chain conditional random field in log space, from the equations."""

import numpy as np
from scipy.special import logsumexp


def passes(emissions, transitions, start, end):
    """Return log α and log β (T, K) of one sequence, T ≥ 1, and log Z."""
    steps = len(emissions)
    alpha, beta = np.empty(emissions.shape), np.empty(emissions.shape)
    with np.errstate(divide="ignore"):
        alpha[0] = start + emissions[0]
        for t in range(1, steps):
            alpha[t] = emissions[t] + logsumexp(alpha[t - 1][:, np.newaxis] + transitions, axis=0)
        beta[-1] = end
        for t in range(steps - 2, -1, -1):
            beta[t] = logsumexp(transitions + emissions[t + 1] + beta[t + 1], axis=1)
        return alpha, beta, logsumexp(alpha[-1] + end)


def path_score(tags, emissions, transitions, start, end):
    steps = np.arange(len(tags))
    return start[tags[0]] + emissions[steps, tags].sum() + transitions[tags[:-1], tags[1:]].sum() + end[tags[-1]]


def probabilities(scores, log_z):
    """Return exp(scores − log Z), 0 where no path is allowed."""
    return np.zeros(scores.shape) if log_z == -np.inf else np.exp(scores - log_z)


def each(emissions, transitions, start, end, lengths):
    """Yield the number of each sequence that has steps, and its arguments of `passes` in float64."""
    lengths = np.full(emissions.shape[1], len(emissions)) if lengths is None else lengths
    model = [array.astype(np.float64) for array in (transitions, start, end)]
    for b, length in enumerate(lengths):
        if length:
            yield b, (emissions[:length, b].astype(np.float64), *model)


def crf_loss(d_emissions, d_transitions, d_start, d_end, emissions, transitions, start, end, tags, lengths, weights,
             n_jobs=None):  # fmt: skip
    loss = 0.0
    if d_emissions is not None:
        d_emissions[...] = 0
    for b, model in each(emissions, transitions, start, end, lengths):
        path, weight = tags[: len(model[0]), b], float(weights[b])
        alpha, beta, log_z = passes(*model)
        score = path_score(path, *model)
        one = np.inf if min(score, log_z) == -np.inf else log_z - score
        loss += weight * one if weight else 0.0
        if d_emissions is None:
            continue
        marginals = probabilities(alpha + beta, log_z)
        marginals[np.arange(len(path)), path] -= 1
        d_emissions[: len(path), b] = weight * marginals
        d_start += weight * marginals[0]
        d_end += weight * marginals[-1]
        for t in range(1, len(path)):
            pairs = probabilities(alpha[t - 1][:, np.newaxis] + model[1] + model[0][t] + beta[t], log_z)
            pairs[path[t - 1], path[t]] -= 1
            d_transitions += weight * pairs
    return float(loss)


def crf_marginals(marginals, emissions, transitions, start, end, lengths, n_jobs=None):
    marginals[...] = 0
    for b, model in each(emissions, transitions, start, end, lengths):
        alpha, beta, log_z = passes(*model)
        marginals[: len(alpha), b] = probabilities(alpha + beta, log_z)


def crf_viterbi(tags, scores, emissions, transitions, start, end, lengths, n_jobs=None):
    tags[...], scores[...] = -1, 0
    for b, (emitted, steps, first, last) in each(emissions, transitions, start, end, lengths):
        best = [first + emitted[0]]
        for row in emitted[1:]:
            best.append(row + (best[-1][:, np.newaxis] + steps).max(axis=0))
        after = last
        for t in range(len(emitted) - 1, -1, -1):
            tags[t, b] = tag = int((best[t] + after).argmax())
            scores[b] = (best[t] + after)[tag] if t == len(emitted) - 1 else scores[b]
            after = steps[:, tag]
