"""Open hypotheses of several inputs: unfinished sequences of tokens, as arrays, and the constraints on their tokens."""

from typing import NamedTuple

import numpy as np

from fastrnn.kernels.beams import best_extensions, part_extensions


class MostProbable(NamedTuple):
    """The most probable tokens of each row, from a decoder that makes no distributions over all tokens.

    Forbidden tokens are left out. A search with prefixes, forbidden sequences or a least length needs all tokens.

    Attributes
    ----------
    log_probs : float64 array (n, count)
        Largest first; at least twice the beam's width of them. Minus infinity where there are fewer.
    tokens : int32 array (n, count)
    """

    log_probs: np.ndarray
    tokens: np.ndarray

    @property
    def shape(self):
        """The number of rows, and that of tokens of each."""
        return self.tokens.shape


class Hypotheses(NamedTuple):
    """Sequences of equally many tokens, those of an input side by side, the most probable first.

    Attributes
    ----------
    inputs : int array (n,)
        The input of each, ascending.
    log_probs : float64 array (n,)
        The sum over the tokens of each.
    tokens : int32 array (n, length)
    """

    inputs: np.ndarray
    log_probs: np.ndarray
    tokens: np.ndarray

    @classmethod
    def start(cls, n_inputs):
        """Return an empty sequence for each input."""
        return cls(np.arange(n_inputs), np.zeros(n_inputs), np.empty((n_inputs, 0), np.int32))

    def take(self, rows):
        """Return the hypotheses `rows`, in this order."""
        return Hypotheses(self.inputs[rows], self.log_probs[rows], self.tokens[rows])

    def extensions(self, log_probs, count):
        """Return the most probable `Extensions` by one token: at most `count` for each input.

        Parameters
        ----------
        log_probs : float array (n, V), or MostProbable
            Those of the next token.
        count : int

        Returns
        -------
        Extensions
            Those with probability 0 are left out.
        """
        changes = np.ones(len(self.inputs) + 1, bool)  # of the input, and the end
        np.not_equal(self.inputs[1:], self.inputs[:-1], out=changes[1:-1])
        offsets = np.flatnonzero(changes)
        begins = offsets[:-1]
        shape, counts = (len(begins), count), np.empty(len(begins), np.int64)
        rows, tokens, totals = np.zeros(shape, np.int64), np.empty(shape, np.int32), np.empty(shape)
        listed = isinstance(log_probs, MostProbable)
        values = np.ascontiguousarray(log_probs.log_probs if listed else log_probs)
        best_extensions(rows, tokens, totals, counts, values, self.log_probs, offsets)
        if listed:
            tokens[np.arange(count) >= counts[:, np.newaxis]] = 0  # behind what was found
            tokens = log_probs.tokens[rows, tokens]
        return Extensions(self.inputs[begins], rows, tokens, totals, counts)

    def extended(self, extensions, chosen):
        """Return the hypotheses that some of their extensions make, `chosen` (m,); and the row that each extends."""
        rows = extensions.rows.reshape(-1)[chosen]
        last = extensions.tokens.reshape(-1)[chosen, np.newaxis]
        tokens = np.concatenate([self.tokens[rows], last], axis=1)
        return Hypotheses(self.inputs[rows], extensions.totals.reshape(-1)[chosen], tokens), rows

    def end_with(self, sequence):
        """Return whether each ends with a list of tokens: bool array (n,)."""
        length = self.tokens.shape[1]
        if len(sequence) > length:
            return np.zeros(len(self.tokens), bool)
        return (self.tokens[:, length - len(sequence) :] == sequence).all(axis=1)


class Extensions(NamedTuple):
    """Extensions of hypotheses by one token, a line for each input that has open ones, the most probable first.

    Attributes
    ----------
    inputs : int array (B,)
    rows : int64 array (B, count)
        The hypothesis that each extends.
    tokens : int32 array (B, count)
    totals : float64 array (B, count)
        Log probabilities, that of the hypothesis included.
    counts : int64 array (B,)
        Number of extensions of each line; places behind them have no meaning.
    """

    inputs: np.ndarray
    rows: np.ndarray
    tokens: np.ndarray
    totals: np.ndarray
    counts: np.ndarray

    def ended(self, hypotheses, end_id, stops):
        """Return whether each ends a sequence, by the token `end_id` or one of several lists: bool array (B, count)."""
        ended = self.tokens == end_id
        for *before, last in stops:
            ended |= (self.tokens == last) & hypotheses.end_with(before)[self.rows]
        return ended

    def part(self, ended, full, width):
        """Return the places of the extensions that go on, and of those that are done, see `part_extensions`."""
        going_on, done = np.empty((2, self.rows.size), np.int64)
        n_going_on, n_done = part_extensions(going_on, done, ended, self.counts, full, width)
        return going_on[:n_going_on], done[:n_done]


def places(groups):
    """Return the place of each element within its group, for ascending group numbers (n,)."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


class Constraints:
    """Tokens that sequences must have, or must not have.

    Parameters
    ----------
    end_id : int
        The token that ends a sequence.
    forbidden : list of (int or list of int)
        Tokens, and sequences of tokens, that no sequence has.
    prefixes : list of (list of int) or None
        The beginning of the sequences of each input. It may have forbidden tokens; its log probability counts.
    min_length : int
        Number of tokens before a sequence may end.
    """

    def __init__(self, end_id, forbidden=(), prefixes=None, min_length=0):
        self.end_id, self.min_length = end_id, min_length
        self.tokens = np.array([entry for entry in forbidden if np.ndim(entry) == 0], np.intp)
        self.sequences = [list(entry) for entry in forbidden if np.ndim(entry)]
        self.prefixes = prefixes if prefixes is not None and any(len(prefix) for prefix in prefixes) else None
        if self.prefixes is not None:
            lengths = np.array([len(prefix) for prefix in prefixes])
            self.prefixes = np.full((len(prefixes), lengths.max()), -1)
            self.prefixes[np.arange(lengths.max()) < lengths[:, np.newaxis]] = np.concatenate(prefixes).astype(np.intp)

    def apply(self, log_probs, hypotheses):
        """Set log probabilities (n, V) of tokens that may not follow to minus infinity; leave `MostProbable` alone.

        Returns
        -------
        bool array (n,) or None
            Whether the next token of each hypothesis is one of its prefix; None if there are no prefixes this long.
        """
        if isinstance(log_probs, MostProbable):
            return None
        length, forced = hypotheses.tokens.shape[1], None
        if self.prefixes is not None and length < self.prefixes.shape[1]:
            wanted = self.prefixes[hypotheses.inputs, length]
            forced = wanted >= 0
            rows, wanted = np.flatnonzero(forced), wanted[forced]
            kept = log_probs[rows, wanted]
        if len(self.tokens):
            log_probs[:, self.tokens] = -np.inf
        if length < self.min_length:
            log_probs[:, self.end_id] = -np.inf
        for *before, last in self.sequences:
            log_probs[hypotheses.end_with(before), last] = -np.inf
        if forced is not None:
            log_probs[rows] = -np.inf
            log_probs[rows, wanted] = kept
        return forced
