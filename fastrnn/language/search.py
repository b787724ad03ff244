"""Beam search and completion for any decoder, over the hypotheses of several inputs at a time.

A decoder has three parts, and needs no vocabulary:

``start``
    The pair (log_probs, state) after the prompts or encoded inputs. ``log_probs`` is a float array (n_inputs, V): the
    natural log probabilities of the first token, or `MostProbable`, the largest ones alone. ``state`` is the decoder's
    state, with a row for each input; the search does not look into it.
``advance(state, tokens)``
    Returns such a pair after one more token for each row; ``tokens`` is an int32 array (n,).
``take(state, rows)``
    Returns the state of the rows ``rows``, an int array (n,), in this order; rows may be repeated.

The decoder is called once a step for the hypotheses of all inputs together, those of an input side by side; inputs that
are done have no rows. The search overwrites the arrays of log probabilities. What is found for an input does not depend
on the others.
"""

from typing import NamedTuple

import numpy as np

from fastrnn.language.hypotheses import Constraints, Hypotheses, MostProbable, places
from fastrnn.language.replay import Replay


class Candidate(NamedTuple):
    """A sequence of tokens that `beam_search` found.

    Attributes
    ----------
    score : float
        Its log probability divided by the penalty of its length, and the penalty of its coverage added.
    log_prob : float
        The natural logarithm of its probability, the end included if it has ended.
    ids : list of int
        The tokens, without the end.
    """

    score: float
    log_prob: float
    ids: list


class Coverage(NamedTuple):
    """A penalty for sequences whose attention leaves parts of the source out (Wu et al., 2016, section 7).

    The penalty is the sum of log(min(a, 1)) over the source, a being the sum of the attention that an element got in
    all steps.

    Attributes
    ----------
    weight : float
        Factor of the penalty.
    attention : callable (state) -> float array (n, S)
        Returns the attention of each row's last step.
    lengths : int array (n_inputs,)
        Number of elements of each source.
    """

    weight: float
    attention: object
    lengths: np.ndarray


def beam_search(
    start, advance, take, *, end_id, beam_width=5, max_length=100, n=1, length_penalty=0.0, length_offset=0.0,
    coverage=None, stops=(), forbidden=(), prefixes=None, min_length=0, greedy_first=False, join=None,
):  # fmt: skip
    """Search for the most probable sequences of tokens.

    Parameters
    ----------
    start, advance, take
        The decoder, see `fastrnn.language.search`.
    end_id : int
        The token that ends a sequence.
    beam_width : int
        Number of hypotheses of each input. Those that cannot become one of the `n` best are dropped.
    max_length : int or int array (n_inputs,)
        The largest number of tokens, for all or for each input.
    n : int
        Number of sequences that are returned for each input, at most `beam_width`.
    length_penalty, length_offset : float
        Sequences of L tokens (the end counted) are compared by their log probability divided by ((`length_offset` + L)
        / (`length_offset` + 1)) to the power `length_penalty`. Wu et al. (2016) have the offset 5.
    coverage : Coverage or None
        A further penalty of found sequences; hypotheses are followed without it.
    stops : list of (list of int)
        A sequence also ends after one of these.
    forbidden : list of (int or list of int)
        Tokens, and sequences of tokens, that no sequence has.
    prefixes : list of (list of int) or None
        The beginning of each input's sequences, not longer than `max_length`.
    min_length : int
        Number of tokens before a sequence may end.
    greedy_first : bool
        Whether a greedy search goes first if `n` is 1: hypotheses that cannot become better than its result are
        dropped at once.
    join : callable (states) -> state, or None
        Returns the state with the rows of several states in turn: with it and `MostProbable`, no step is taken twice.

    Returns
    -------
    list of (list of Candidate)
        For each input its sequences, best first; fewer than `n` if no more were found.

    Examples
    --------
    A decoder of three tokens, whose state is the last token of each row; 0 is the end:

    >>> log_p = np.log([[0.1, 0.6, 0.3], [0.6, 0.1, 0.3], [0.1, 0.7, 0.2]])
    >>> advance, take = lambda last, tokens: (log_p[tokens], tokens), lambda last, rows: last[rows]
    >>> found = beam_search((log_p[[1, 2]], np.array([1, 2])), advance, take, end_id=0)
    >>> [(best.ids, f"{np.exp(best.log_prob):.2f}") for (best,) in found]
    [([], '0.60'), ([1], '0.42')]
    """
    constraints = Constraints(end_id, forbidden, prefixes, min_length)
    limits = np.broadcast_to(np.asarray(max_length), start[0].shape[:1])
    ranking, found = _Ranking(length_penalty, length_offset, coverage, limits), _Found(len(limits), n, end_id)
    replay = Replay(advance, take, join if isinstance(start[0], MostProbable) else None)
    if greedy_first and n == 1 < beam_width:
        _search(start, replay.record, constraints, ranking, 1, stops, found)
    _search(start, replay.follow, constraints, ranking, beam_width, stops, found)
    return found.best()


def _search(start, step, constraints, ranking, beam_width, stops, found):
    """Follow the hypotheses of all inputs to their ends, and add the sequences to `found`, a `_Found`.

    ``step(state, rows, hypotheses)`` advances rows of a state by the last tokens of the hypotheses that they become.
    """
    (log_probs, state), coverage, end_id = start, ranking.coverage, constraints.end_id
    log_probs = log_probs if isinstance(log_probs, MostProbable) else log_probs.copy()  # for another search
    open_ones = Hypotheses.start(len(ranking.limits))
    covered = None if coverage is None else coverage.attention(state)  # (n, S), of the steps so far
    while len(open_ones.inputs):
        forced = constraints.apply(log_probs, open_ones)
        extensions = open_ones.extensions(log_probs, 2 * beam_width)
        ended = extensions.ended(open_ones, end_id, stops)
        if forced is not None:
            ended &= ~forced[extensions.rows]
        full = ranking.limits[extensions.inputs] <= open_ones.tokens.shape[1] + 1
        going_on, done = extensions.part(ended, full, beam_width)
        if len(done):
            sequences, rows = open_ones.extended(extensions, done)
            found.add(sequences, ranking.scores(sequences, None if covered is None else covered[rows]))
        open_ones, rows = open_ones.extended(extensions, going_on)
        if found.any:
            promising = np.flatnonzero(ranking.bounds(open_ones) > found.worst[open_ones.inputs])
            open_ones, rows = open_ones.take(promising), rows[promising]
        if len(rows):
            log_probs, state = step(state, rows, open_ones)
            if covered is not None:
                covered = covered[rows] + coverage.attention(state)


class _Ranking(NamedTuple):
    """How found sequences are compared."""

    length_penalty: float
    length_offset: float
    coverage: Coverage
    limits: np.ndarray  # int (n_inputs,), the largest number of tokens

    def _divisors(self, lengths):
        return ((self.length_offset + lengths) / (self.length_offset + 1)) ** self.length_penalty

    def scores(self, hypotheses, covered):
        """Return the scores (n,) of sequences whose sources got the attention `covered` (n, S), or None."""
        scores = hypotheses.log_probs / self._divisors(hypotheses.tokens.shape[1])
        if covered is None:
            return scores
        covered = np.clip(covered, np.finfo(np.float32).tiny, 1)
        inside = np.arange(covered.shape[1]) < self.coverage.lengths[hypotheses.inputs, np.newaxis]
        return scores + self.coverage.weight * np.log(covered, where=inside, out=np.zeros(covered.shape)).sum(axis=1)

    def bounds(self, hypotheses):
        """Return the scores (n,) that no sequence exceeds that begins like one of `hypotheses`.

        Log probabilities can only fall, lengths can grow to the limit, and the best coverage has no penalty.
        """
        return hypotheses.log_probs / self._divisors(self.limits[hypotheses.inputs])


class _Found:
    """The sequences that were found so far.

    `worst` (n_inputs,) is the score that a further one must exceed to be one of the n best of its input.
    """

    def __init__(self, n_inputs, n, end_id):
        self.n, self.end_id, self.worst = n, end_id, np.full(n_inputs, -np.inf)
        self._scores = np.full((n_inputs, n), -np.inf)  # largest first
        self._parts = []  # (inputs, scores, log_probs, tokens) of those that were found at a time

    @property
    def any(self):
        """Whether any sequence was found."""
        return bool(self._parts)

    def add(self, hypotheses, scores):
        """Add sequences and their scores (n,); of equal scores those that were found first come first."""
        worst = self.worst[hypotheses.inputs]
        better = np.flatnonzero((scores > worst) | (worst == -np.inf))
        if not len(better):
            return
        hypotheses, scores = hypotheses.take(better), scores[better]
        self._parts.append((*hypotheses, scores))
        place, inputs = places(hypotheses.inputs), np.unique(hypotheses.inputs)
        further = np.full((len(inputs), place.max() + 1), -np.inf)
        further[np.searchsorted(inputs, hypotheses.inputs), place] = scores
        together = np.concatenate([self._scores[inputs], further], axis=1)
        self._scores[inputs] = -np.sort(-together, axis=1)[:, : self.n]
        self.worst = self._scores[:, -1]

    def best(self):
        """Return the n best sequences of each input, best first, as lists of `Candidate`."""
        result = [[] for _ in self.worst]
        if not self._parts:
            return result
        inputs, log_probs, scores = (np.concatenate([part[place] for part in self._parts]) for place in (0, 1, 3))
        tokens = [ids for _, _, ids, _ in self._parts for ids in ids]  # arrays (length,)
        order = np.lexsort((-scores, inputs))
        order = order[places(inputs[order]) < self.n]
        for place, i, score, log_prob in zip(order.tolist(), inputs[order].tolist(), scores[order].tolist(),
                                             log_probs[order].tolist(), strict=True):  # fmt: skip
            ids = tokens[place].tolist()
            result[i].append(Candidate(score, log_prob, ids[:-1] if ids[-1] == self.end_id else ids))
        return result


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
    forbidden : list of (int or list of int)
        Tokens, and sequences of tokens, that no sequence has.

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
    log_probs, state = start
    constraints, open_ones = Constraints(None, forbidden), Hypotheses.start(len(log_probs))
    words = [{} for _ in log_probs]  # the probability of each complete word
    for length in range(1, max_length + 1):
        if not len(open_ones.inputs):
            break
        constraints.apply(log_probs, open_ones)
        extensions = open_ones.extensions(log_probs, 8 * n)
        found = np.flatnonzero(np.arange(8 * n) < extensions.counts[:, np.newaxis])
        extended, rows = open_ones.extended(extensions, found)
        kept = _spell_all(words, extended, spell, n)
        rows, open_ones = rows[kept], extended.take(kept)
        if len(rows) and length < max_length:
            log_probs, state = advance(take(state, rows), np.ascontiguousarray(open_ones.tokens[:, -1]))
    return [sorted(each.items(), key=lambda entry: -entry[1])[:n] for each in words]


def _spell_all(words, hypotheses, spell, n):
    """Add the words that sequences complete to those of their inputs; return the places of those to go on with.

    These are at most 2 * n of each input, and none where n words are as probable as its most probable one.
    """
    kept = [[] for _ in words]
    for place, (i, ids) in enumerate(zip(hypotheses.inputs.tolist(), hypotheses.tokens.tolist(), strict=True)):
        spelled = spell(i, ids)
        if spelled is None:
            continue
        word, is_complete = spelled
        if is_complete:
            words[i][word] = words[i].get(word, 0) + float(np.exp(hypotheses.log_probs[place]))
        elif len(kept[i]) < 2 * n:
            kept[i].append(place)
    for found, places_of_input in zip(words, kept, strict=True):
        if places_of_input and len(found) >= n:
            worst = sorted(found.values(), reverse=True)[n - 1]
            if worst >= np.exp(hypotheses.log_probs[places_of_input[0]]):
                places_of_input.clear()
    return np.array([place for places_of_input in kept for place in places_of_input], np.intp)


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
