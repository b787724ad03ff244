"""Pairs of sources and targets: checked, grouped by both lengths, put into batches."""

from typing import NamedTuple

import numpy as np

from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.decoder import PairBatch
from fastrnn.text.batching import IGNORED, shift_right
from fastrnn.text.tokens import START_ID

_POOL = 16  # batches whose pairs are sorted by length together
_MOST_STEPS = 1 << 15  # padded steps of a batch, of either side
_LONG = 512  # steps of both sides from which on weights of attention (T, B, S) take more memory than what else is kept


class Pairs(NamedTuple):
    """Sources, their targets and weights; only the pairs `rows` count.

    Attributes
    ----------
    sequences : Sequences or similar
        The sources: any object with ``lengths`` (n,), ``arrays`` and what the network reads.
    targets : Sequences
        Closed target sequences.
    weights : float32 array (n,)
    rows : int array (m,)
        The pairs that are trained or validated on.
    """

    sequences: object
    targets: Sequences
    weights: np.ndarray
    rows: np.ndarray

    def batch(self, rows):
        """Return some pairs for one pass of a network."""
        targets, lengths = self.targets.padded(rows)
        inputs, is_after = shift_right(targets, START_ID), np.arange(len(targets))[:, np.newaxis] >= lengths
        inputs[is_after], targets[is_after] = 0, IGNORED
        return PairBatch(self.sequences, rows, inputs, targets, lengths, self.weights[rows])

    def groups(self, rows, batch_size, random_state=None):
        """Group pairs of similar lengths into batches.

        Parameters
        ----------
        rows : int array (n,)
        batch_size : int
            Most pairs of a batch. Batches of very long sequences are smaller.
        random_state : RandomState instance or None, default=None
            Draws pools of pairs, which are sorted each by itself so that batches differ from epoch to epoch, and the
            order of the batches. None sorts all pairs.

        Returns
        -------
        list of int array
            The rows of each batch.
        """
        pool = len(rows)
        if random_state is not None:
            rows, pool = random_state.permutation(rows), _POOL * batch_size
        lengths = np.stack([self.sequences.lengths, self.targets.lengths])  # (2, n)
        groups = []
        for begin in range(0, len(rows), max(pool, 1)):
            part = rows[begin : begin + pool]
            part = part[np.lexsort(lengths[:, part])]  # by the target, then by the source
            sources, targets = lengths[:, part]
            groups += _cut(part, np.maximum(np.maximum(sources, targets), sources * targets // _LONG), batch_size)
        if random_state is not None:
            random_state.shuffle(groups)
        return groups


def _cut(rows, sizes, batch_size):
    """Cut rows of some sizes into groups of at most `batch_size`, and fewer where the sizes are large."""
    groups, begin = [], 0
    while begin < len(rows):
        longest = np.maximum.accumulate(sizes[begin : begin + batch_size])
        n = max(1, np.count_nonzero(longest * np.arange(1, len(longest) + 1) <= _MOST_STEPS))
        groups.append(rows[begin : begin + n])
        begin += n
    return groups
