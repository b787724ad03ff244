"""Probabilities, encodings and alignments of estimators that write sequences."""

from typing import NamedTuple

import numpy as np

from fastrnn.estimators.examples import check_lengths, check_sample_weight, warn_of_cut
from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.decoder import PairBatch
from fastrnn.text.tokens import close_sentences
from fastrnn.translation.pairs import Pairs
from fastrnn.translation.texts import read_once, side_options
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.ragged import offsets_of, parts_of
from fastrnn.utils.use import GuardedMixin


class Alignment(NamedTuple):
    """The attention weights with which a decoder wrote a sequence.

    Attributes
    ----------
    sources : list of str or None
        The S tokens of the source; None if it is not made of tokens.
    targets : list of str
        The T tokens that were written, ``</s>`` last.
    weights : float32 array (T, S)
        The weights of the source's vectors in the context from which each token was predicted; a row adds up to 1.
    """

    sources: list | None
    targets: list
    weights: np.ndarray


class ProbabilityMixin(GuardedMixin):
    """Methods of a `SequenceWriter` that read given targets, or sources alone, and search for nothing."""

    def _read(self, X):
        """Return the sources of X."""
        check_fitted(self, "network_")
        sources = self._reader.read(self._read_once(X))
        warn_of_cut(sources, self._reader.options, "X")
        self.network_.held_weights().keep()
        return sources

    def _read_once(self, X):
        """Return X, a list in place of an iterator or an open file, so that it can be read again."""
        return read_once(X, side_options(self, 0)["encoding"])

    def _pairs(self, X, Y):
        """Return X and its targets Y as `Pairs`; nothing of a target is cut."""
        X = self._read_once(X)
        sources, targets = self._read(X), self._target.encode(Y, "Y")
        if len(sources) or len(targets):
            check_lengths("X and Y", X, sources, targets)
        return Pairs(sources, targets, np.ones(len(targets), np.float32), np.arange(len(targets)))

    def predict_log_proba(self, X, Y):
        """Return the log probability of each token of given targets.

        Parameters
        ----------
        X, Y : as X and y in `fit`

        Returns
        -------
        list of float64 array (T_i,)
            Natural logarithms; the last one is that of the end. A token that the model does not know counts as
            ``<unk>``.

        Raises
        ------
        ValueError
            X or Y cannot be read, or their numbers differ.
        """
        pairs = self._pairs(X, Y)
        return self._by_tokens(pairs, self.network_.log_probs)

    def _by_tokens(self, pairs, compute):
        """Return `compute(batch)`, arrays (T, B, …), for the tokens of each of `pairs.rows`: a list."""
        results = {}
        for rows in self._groups(pairs, pairs.rows):
            batch = pairs.batch(rows)
            values = compute(batch)
            for b, (row, length) in enumerate(zip(rows.tolist(), batch.lengths.tolist(), strict=True)):
                results[row] = values[:length, b].copy()
        return [results[row] for row in pairs.rows.tolist()]

    def score_samples(self, X, Y):
        """Return the log probability of each target.

        Parameters
        ----------
        X, Y : as X and y in `fit`

        Returns
        -------
        float64 array (n,)
            Natural logarithms: sums over the tokens, the end included.

        Raises
        ------
        ValueError
            As in `predict_log_proba`.
        """
        return np.array([part.sum() for part in self.predict_log_proba(X, Y)])

    def score(self, X, y, sample_weight=None):
        """Return the mean log likelihood of a token of the targets, ends included; higher is better.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like (n,), default=None
            Weight of each pair, which each token of its target has.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            As in `predict_log_proba`, or there is no pair, or `sample_weight` does not fit.
        """
        parts = self.predict_log_proba(X, y)
        if not parts:
            raise ValueError("X and y are empty: a score needs at least one pair.")
        weights = check_sample_weight(sample_weight, len(parts))
        sums, lengths = np.array([part.sum() for part in parts]), np.array([len(part) for part in parts])
        return float(weights @ sums / (weights @ lengths))

    def transform(self, X):
        """Return the encoding of each source: the vector from which the decoder begins.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float32 array (n, M)
            For a translator, h of the encoder's last layer after its last step, that of both directions side by side.
            For a captioner, the mean over the regions of what the dense layers make of them.

        Raises
        ------
        ValueError
            X cannot be read.
        """
        sources, network = self._read(X), self.network_
        encoded = np.empty((len(sources), network.summary_size), network.decoder.dtype)
        for rows in self._groups(sources, np.arange(len(sources))):
            encoded[rows] = network.summaries(PairBatch(sources, rows))
        return encoded

    def align(self, X, Y=None):
        """Return the attention weights of each token of the targets.

        Parameters
        ----------
        X : as in `fit`
        Y : as y in `fit`, default=None
            The targets; None takes the predictions of `predict`.

        Returns
        -------
        list of Alignment
            A named tuple (sources, targets, weights) for each source: its tokens, or None if sources have no tokens;
            the tokens of the target; and a float32 array (T_i, S_i), whose row t has the weights of the source's
            vectors in the context of token t.

        Raises
        ------
        ValueError
            The model has no attention.
        """
        check_fitted(self, "network_")
        if not self.network_.attends:
            raise ValueError("align needs a model with attention, this one was fitted with attention=None.")
        X = self._read_once(X)
        pairs = self.pairs(X, Y)
        weights, names = self._weights(pairs), self._source_tokens(X)
        written = parts_of(self._target.vocabulary.decode(pairs.targets.values), pairs.targets.offsets)
        return [
            Alignment(None if names is None else names[i], tokens, part)
            for i, (tokens, part) in enumerate(zip(written, weights, strict=True))
        ]

    def pairs(self, X, Y=None):
        """Return X and targets Y, or those that are found for them, as `Pairs`, for the other parts of the package."""
        if Y is not None:
            return self._pairs(X, Y)
        sources = self._read(X)
        return self._written(sources, self._search(sources))

    def _written(self, sources, found):
        """Return sources and their predictions, lists of ids, as `Pairs`."""
        offsets = offsets_of(list(map(len, found)))
        ids = np.fromiter((i for part in found for i in part), np.int32, offsets[-1])
        rows = np.arange(len(found))
        return Pairs(sources, Sequences(*close_sentences(ids, offsets)), np.ones(len(found), np.float32), rows)

    def _weights(self, pairs):
        """Return the weights of attention for each of `pairs.rows`: a list of float32 arrays (T_i, S_i)."""
        lengths = pairs.sequences.lengths[pairs.rows].tolist()
        parts = self._by_tokens(pairs, self.network_.attend)
        return [part[:, :length] for part, length in zip(parts, lengths, strict=True)]

    def _source_tokens(self, X):
        """Return the tokens of each source as far as they are read, or None if sources have no tokens."""
        return None
