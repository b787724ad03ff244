"""Sequences in one array: the texts or series that estimators read."""

import numpy as np

from fastrnn.text.batching import sentence_groups
from fastrnn.text.tokens import NGRAM_MULTIPLIER, UNK_ID
from fastrnn.utils.ragged import offsets_of, slices

_MOST_STEPS = 1 << 15  # padded steps of a batch: bounds the memory that a batch of long sequences takes


class Sequences:
    """Sequences of different lengths, one after another in one array.

    Parameters
    ----------
    values : ndarray (N,) of int32, or (N, D) of float32
        Token ids, or the steps of series.
    offsets : ndarray (n + 1,) of int64
        Sequence i is ``values[offsets[i]:offsets[i + 1]]``.
    full_lengths : ndarray (n,) of int64 or None, default=None
        Steps of each sequence before it was cut; None if nothing was cut.
    """

    def __init__(self, values, offsets, full_lengths=None):
        self.values, self.offsets = values, offsets
        self.full_lengths = np.diff(offsets) if full_lengths is None else full_lengths

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def arrays(self):
        """All content as flat arrays."""
        return self.values.reshape(-1), self.offsets

    @property
    def lengths(self):
        """Steps of each sequence, int64 (n,)."""
        return np.diff(self.offsets)

    def padded(self, rows):
        """Return some sequences side by side, padded with zeros.

        Parameters
        ----------
        rows : int array (B,)

        Returns
        -------
        padded : ndarray (T, B) or (T, B, D)
            T is at least 1.
        lengths : int64 array (B,)
        """
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        place = np.arange(max(lengths.max(initial=0), 1))[:, None]
        if not len(self.values):
            return np.zeros((*np.broadcast_shapes(place.shape, lengths.shape), *self.values.shape[1:]),
                            self.values.dtype), lengths  # fmt: skip
        padded = self.values[np.minimum(self.offsets[rows] + place, len(self.values) - 1)]
        padded[place >= lengths] = 0
        return padded, lengths

    def flat(self, rows):
        """Return the values of the sequences `rows` (B,) one after another, and their offsets, int64 (B + 1,)."""
        return self._slices(self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows])

    def _slices(self, first, lengths):
        """Return slices of values joined, and their offsets; slice i has lengths[i] values from first[i] on."""
        places, offsets = slices(first, lengths)
        return self.values[places], offsets

    def groups(self, rows, batch_size, random_state=None):
        """Group sequences of similar lengths into batches.

        Parameters
        ----------
        rows : int array (n,)
        batch_size : int
            Most sequences of a batch. Batches of very long sequences are smaller.
        random_state : RandomState instance or None, default=None
            Draws the order of the batches; None sorts them by length.

        Returns
        -------
        list of int array
            The rows of each batch.
        """
        lengths = self.lengths[rows]
        groups = []
        for group in sentence_groups(offsets_of(lengths), batch_size, random_state):
            most = max(1, _MOST_STEPS // max(lengths[group].max(initial=0), 1))
            groups += [rows[group[i : i + most]] for i in range(0, len(group), most)]
        return groups

    def truncated(self, max_length, keep):
        """Return sequences of at most `max_length` steps; `keep` says which end stays, "start" or "end"."""
        lengths = self.lengths
        if max_length is None or lengths.max(initial=0) <= max_length:
            return self
        kept = np.minimum(lengths, max_length)
        kept_values = self._slices(self.offsets[:-1] if keep == "start" else self.offsets[1:] - kept, kept)
        return Sequences(*kept_values, lengths)


def add_ngrams(sequences, ngram_range, n_words, n_buckets):
    """Return the known words of each text, followed by the ids of its n-grams.

    Parameters
    ----------
    sequences : Sequences
        Ids of words. Unknown words are left out, and so are n-grams that contain one.
    ngram_range : (int, int)
        Fewest and most words of an n-gram.
    n_words : int
        Size of the vocabulary; ids of n-grams begin there.
    n_buckets : int
        Number of ids for n-grams. N-grams in the same bucket share one (Weinberger et al. 2009; Joulin et al. 2017).

    Returns
    -------
    Sequences
    """
    ids, text = sequences.values, np.repeat(np.arange(len(sequences)), sequences.lengths)
    known = ids != UNK_ID
    parts, owners = ([ids[known]], [text[known]]) if ngram_range[0] == 1 else ([], [])
    hashes, complete = ids.astype(np.uint64), known
    for n in range(2, ngram_range[1] + 1):
        last = slice(n - 1, None)
        hashes = (hashes[:-1] * NGRAM_MULTIPLIER) ^ ids[last].astype(np.uint64)
        complete = complete[:-1] & known[last]
        if n >= ngram_range[0]:
            chosen = np.flatnonzero(complete & (text[last] == text[: len(complete)]))
            mixed = (hashes[chosen] * NGRAM_MULTIPLIER) >> np.uint64(32)
            parts.append((n_words + mixed % np.uint64(n_buckets)).astype(np.int32))
            owners.append(text[last][chosen])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(sequences))
    return Sequences(np.concatenate(parts)[order], offsets_of(counts))
