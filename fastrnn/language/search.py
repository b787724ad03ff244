"""Beam search and completion for any decoder, over the hypotheses of several inputs at a time.

A decoder has three parts, and needs no vocabulary:

``start``
    The pair (log_probs, state) after the prompts or encoded inputs. ``log_probs`` is a float64 array (n_inputs, V): the
    natural log probabilities of the first token. ``state`` is the decoder's memory, a row for each input.
``advance(state, tokens)``
    Returns such a pair after one more token for each row; ``tokens`` is an int32 array (n,).
``take(state, rows)``
    Returns the state of the rows ``rows``, an int array (n,), in this order; rows may be repeated.

The decoder is called once a step for the hypotheses of all inputs together, those of an input side by side. The search
overwrites the arrays of log probabilities.
"""

import functools
from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """A sequence of tokens that `beam_search` found.

    Attributes
    ----------
    score : float
        Its log probability divided by the penalty of its length.
    log_prob : float
        The natural logarithm of its probability, the end included if it has ended.
    ids : list of int
        The tokens, without the end.
    """

    score: float
    log_prob: float
    ids: list


def beam_search(
    start, advance, take, *, end_id, beam_width=5, max_length=100, n=1, length_penalty=0.0, stops=(), forbidden=()
):  # fmt: skip
    """Search for the most probable sequences of tokens.

    Parameters
    ----------
    start, advance, take
        The decoder, see `fastrnn.language.search`.
    end_id : int
        The token that ends a sequence.
    beam_width : int
        Number of hypotheses of each input that are followed at a time.
    max_length : int
        The largest number of tokens.
    n : int
        Number of sequences that are returned for each input, at most `beam_width`.
    length_penalty : float
        Sequences are compared by their log probability divided by their number of tokens (the end counted) to this
        power.
    stops : list of (list of int)
        A sequence also ends after one of these.
    forbidden : list of int
        Tokens that no sequence has.

    Returns
    -------
    list of (list of Candidate)
        For each input its sequences, best first; fewer than `n` if no more were found.

    Examples
    --------
    A decoder of three tokens, whose state is the last token of each row; 0 is the end:

    >>> log_p = np.log([[0.1, 0.6, 0.3], [0.6, 0.1, 0.3], [0.1, 0.7, 0.2]])
    >>> found = beam_search(
    ...     start=(log_p[[1, 2]], np.array([1, 2])),
    ...     advance=lambda last, tokens: (log_p[tokens], tokens),
    ...     take=lambda last, rows: last[rows],
    ...     end_id=0,
    ... )
    >>> [(best.ids, f"{np.exp(best.log_prob):.2f}") for (best,) in found]
    [([], '0.60'), ([1], '0.42')]
    """
    options = _BeamOptions(beam_width, max_length, n, length_penalty, end_id, stops)
    searches = [_Beam(options) for _ in start[0]]
    _run(start, advance, take, searches, max_length, forbidden)
    return [search.found[:n] for search in searches]


def complete(start, advance, take, spell, *, n=5, max_length=24, forbidden=()):
    """Search for the most probable words, where several sequences of tokens may spell the same word.

    Parameters
    ----------
    start, advance, take
        The decoder, see `fastrnn.language.search`.
    spell : callable (input, ids) -> (word, is_complete) or None
        Returns the word, of any hashable type, that the tokens `ids`, a list of int, spell for the input of this
        number, and whether it is complete. None drops tokens that spell no beginning of a word.
    n : int
        The largest number of words for each input.
    max_length : int
        The largest number of tokens.
    forbidden : list of int
        Tokens that no sequence has.

    Returns
    -------
    list of (list of (word, probability))
        For each input its words, best first. The probability is that of all sequences found that spell the word.

    Examples
    --------
    Tokens are equally probable at every place, and two sequences spell "ab"; 0 is the end:

    >>> log_p, pieces = np.log([[0.2, 0.4, 0.3, 0.1]]), ["", "a", "b", "ab"]
    >>> def spell(_, ids):
    ...     word = "".join(pieces[i] for i in ids)
    ...     return (word, ids[-1] == 0) if "ab".startswith(word) else None
    >>> (words,) = complete(
    ...     start=(log_p.copy(), None),
    ...     advance=lambda state, tokens: (np.repeat(log_p, len(tokens), axis=0), state),
    ...     take=lambda state, rows: state,
    ...     spell=spell,
    ... )
    >>> [(word, round(probability, 3)) for word, probability in words]
    [('', 0.2), ('a', 0.08), ('ab', 0.044)]
    """
    searches = [_Words(functools.partial(spell, place), n) for place in range(len(start[0]))]
    _run(start, advance, take, searches, max_length, forbidden)
    return [search.best() for search in searches]


def _run(start, advance, take, searches, max_length, forbidden):
    """Extend the open hypotheses of all searches, one for each input, until none is left or they are too long."""
    log_probs, state = start
    for length in range(1, max_length + 1):
        kept_rows, kept_tokens, begin = [np.empty(0, np.intp)], [np.empty(0, np.int32)], 0
        for search in searches:
            end = begin + len(search.open)
            if begin < end:
                rows, tokens = search.extend(log_probs[begin:end], length, forbidden)
                kept_rows.append(begin + rows)
                kept_tokens.append(tokens)
            begin = end
        rows = np.concatenate(kept_rows)
        if not len(rows) or length == max_length:
            return
        log_probs, state = advance(take(state, rows), np.concatenate(kept_tokens))


class _Search:
    """The open hypotheses of one input: lists of ids, and their log probabilities, largest first."""

    def __init__(self):
        self.open, self.scores = [[]], np.zeros(1)

    def _extensions(self, log_probs, count, forbidden):
        """Return the most probable hypotheses of one token more.

        Parameters
        ----------
        log_probs : float64 array (n_open, V)
            Those of the next token; overwritten.
        count : int
        forbidden : list of int

        Returns
        -------
        rows : int array (m,)
            The open hypothesis of each, m at most `count`.
        tokens : int32 array (m,)
        scores : float64 array (m,)
            Their log probabilities, largest first.
        """
        log_probs[:, forbidden] = -np.inf
        log_probs += self.scores[:, np.newaxis]
        totals = log_probs.reshape(-1)
        best = largest(totals, count)
        best = best[totals[best] > -np.inf]
        rows, tokens = np.divmod(best, log_probs.shape[1])
        return rows, tokens.astype(np.int32), totals[best]

    def _extended(self, rows, tokens):
        return [[*self.open[row], token] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)]

    def _keep(self, hypotheses, scores, kept):
        self.open, self.scores = [hypotheses[place] for place in kept], scores[kept]


class _BeamOptions(NamedTuple):
    """The parameters of `beam_search` except the decoder."""

    beam_width: int
    max_length: int
    n: int
    length_penalty: float
    end_id: int
    stops: list


class _Beam(_Search):
    """The beam of one input, and the candidates found so far, best first."""

    def __init__(self, options):
        super().__init__()
        self.options, self.found = options, []

    def extend(self, log_probs, length, forbidden):
        """Extend the beam to `length` tokens; return the rows and tokens of the hypotheses that stay open."""
        width, max_length, _, _, end_id, stops = self.options
        rows, tokens, scores = self._extensions(log_probs, 2 * width, forbidden)
        hypotheses = self._extended(rows, tokens)
        ended = np.array([ids[-1] == end_id or ends_with(ids, stops) for ids in hypotheses], bool)
        for place in np.flatnonzero(ended[:width]):
            ids = hypotheses[place]
            self._add(ids[:-1] if ids[-1] == end_id else ids, scores[place], length)
        self.found.sort(key=lambda candidate: -candidate.score)
        kept = np.flatnonzero(~ended)[:width]
        if len(kept) and self._is_settled(scores[kept[0]]):
            kept = kept[:0]
        self._keep(hypotheses, scores, kept)
        if length == max_length:
            for ids, score in zip(self.open, self.scores, strict=True):
                self._add(ids, score, length)
            self.found.sort(key=lambda candidate: -candidate.score)
        return rows[kept], tokens[kept]

    def _add(self, ids, log_prob, length):
        self.found.append(Candidate(log_prob / length**self.options.length_penalty, float(log_prob), ids))

    def _is_settled(self, best):
        """Return whether n candidates are better than anything that the best open hypothesis can become.

        Its log probability, `best`, can only fall, and its length is `max_length` at most.
        """
        n = self.options.n
        bound = best / self.options.max_length**self.options.length_penalty
        return len(self.found) >= n and self.found[n - 1].score >= bound


class _Words(_Search):
    """The words of one input so far, and their probabilities."""

    def __init__(self, spell, n):
        super().__init__()
        self.spell, self.n, self.probabilities = spell, n, {}

    def extend(self, log_probs, length, forbidden):
        """Extend words by a token; return the rows and tokens of those that stay open."""
        rows, tokens, scores = self._extensions(log_probs, 8 * self.n, forbidden)
        hypotheses, kept = self._extended(rows, tokens), []
        for place, ids in enumerate(hypotheses):
            spelled = self.spell(ids)
            if spelled is None:
                continue
            word, is_complete = spelled
            if is_complete:
                self.probabilities[word] = self.probabilities.get(word, 0) + float(np.exp(scores[place]))
            elif len(kept) < 2 * self.n:
                kept.append(place)
        kept = np.array(kept, np.intp)
        worst = sorted(self.probabilities.values(), reverse=True)[self.n - 1 : self.n]
        if len(kept) and worst and worst[0] >= np.exp(scores[kept[0]]):
            kept = kept[:0]
        self._keep(hypotheses, scores, kept)
        return rows[kept], tokens[kept]

    def best(self):
        """Return the most probable words and their probabilities, best first."""
        return sorted(self.probabilities.items(), key=lambda entry: -entry[1])[: self.n]


def ends_with(ids, stops):
    """Return whether a list of ids ends with one of several others."""
    return any(ids[-len(stop) :] == stop for stop in stops)


def largest(values, count):
    """Return the indices of the largest values.

    Parameters
    ----------
    values : float array (n,)
    count : int
        Number of indices, if there are that many values.

    Returns
    -------
    int array (m,)
        Largest first; of equal values the first one first.
    """
    if count < len(values):
        smallest = np.partition(values, len(values) - count)[len(values) - count]
        candidates = np.flatnonzero(values >= smallest)
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
