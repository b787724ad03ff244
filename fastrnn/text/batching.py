"""Batches of token sequences: contiguous streams, and sentences of similar lengths."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

IGNORED = -1  # the target of padding, which does not count


def shift_right(targets, start):
    """Return the inputs from which targets are predicted: at each step the target of the step before.

    Parameters
    ----------
    targets : int array (T,) or (T, B)
    start : int or int array (B,)
        The input of the first step.

    Returns
    -------
    int32 array of the shape of `targets`

    Examples
    --------
    >>> shift_right(np.array([7, 8, 3]), start=2)
    array([2, 7, 8], dtype=int32)
    """
    inputs = np.empty(targets.shape, np.int32)
    inputs[:1] = start
    inputs[1:] = targets[:-1]
    return inputs


class Batch(NamedTuple):
    """A piece of text for one step of truncated backpropagation.

    Attributes
    ----------
    inputs : int32 array (T, B)
    targets : int32 array (T, B)
        The token that follows each input; `IGNORED` where there is none.
    lengths : int array (B,) or None
        Steps of each column; None if all have T.
    fresh : bool
        Whether the columns begin here; otherwise they continue those of the previous batch.
    advance : int
        Step at which the next batch begins: T, or less if batches overlap.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None
    fresh: bool
    advance: int

    @property
    def extent(self):
        """Number of columns, and steps."""
        return self.inputs.shape[::-1]

    def first(self, n):
        """Return the first `n` columns as a batch that begins there."""
        lengths = None if self.lengths is None else self.lengths[:n]
        return Batch(self.inputs[:, :n], self.targets[:, :n], lengths, True, self.advance)


class Streams:
    """A text cut into streams of equal length T that run side by side; the text is read when steps are cut.

    The targets of stream b are the tokens b·T to (b + 1)·T − 1, padded with `IGNORED` after the end of the text.

    Parameters
    ----------
    ids : int array (n,)
        The text; it may be mapped from a file.
    start : int
        Input before the first token.
    n_streams : int

    Examples
    --------
    >>> streams = Streams(np.array([5, 6, 7, 8, 9], "int32"), 3, n_streams=2)
    >>> inputs, targets = streams.cut(0, len(streams))
    >>> inputs.T
    array([[3, 5, 6],
           [7, 8, 0]], dtype=int32)
    >>> targets.T
    array([[ 5,  6,  7],
           [ 8,  9, -1]], dtype=int32)
    """

    def __init__(self, ids, start, n_streams):
        self.ids, self.start, self.n_streams = ids, start, n_streams

    def __len__(self):
        return -(-len(self.ids) // self.n_streams)

    def cut(self, begin, end):
        """Return inputs and targets of the steps `begin` to `end` − 1, int32 (end − begin, n_streams) each."""
        places = np.arange(begin - 1, end)[:, None] + len(self) * np.arange(self.n_streams)
        tokens = self.ids[np.clip(places, 0, len(self.ids) - 1)] if begin < end else np.zeros(places.shape)
        before, targets = tokens[0].astype(np.int32), tokens[1:].astype(np.int32)
        if begin == 0:
            before[0] = self.start
        inputs, beyond = shift_right(targets, before), places[1:] >= len(self.ids)
        inputs[beyond], targets[beyond] = 0, IGNORED
        return inputs, targets


class StreamBatches(Sequence):
    """Batches of streams for truncated backpropagation; each is cut when it is indexed.

    Parameters
    ----------
    streams : Streams
    steps : int
        Steps that gradients are propagated back through, k2.
    stride : int or None, default=None
        Steps from batch to batch, k1, at most `steps`; None is `steps`. If batches overlap, a target counts only in the
        first batch that has it (Williams and Peng 1990).
    random_state : RandomState instance or None, default=None
        Draws the lengths of batches around `steps`, for one batch in twenty around half of that, so that batches do not
        begin at the same places in every epoch (Merity et al. 2017). It excludes a stride.
    """

    def __init__(self, streams, steps, stride=None, random_state=None):
        self.streams = streams
        if random_state is None:
            stride = stride or steps
            self._done = np.arange(0, len(streams), stride)  # each batch: first step whose targets count
            self._begins = np.maximum(0, self._done + stride - steps)
        else:
            lengths = _random_lengths(len(streams), steps, random_state)
            self._done = self._begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            stride = steps = 0  # no overlap
        self._ends = np.concatenate([self._done[1:], [len(streams)]])
        self._following = np.maximum(self._begins, self._ends + stride - steps)

    def __len__(self):
        return len(self._done)

    def __getitem__(self, k):
        begin, done, end = int(self._begins[k]), int(self._done[k]), int(self._ends[k])
        inputs, targets = self.streams.cut(begin, end)
        targets[: done - begin] = IGNORED
        return Batch(inputs, targets, None, begin == 0, int(self._following[k]) - begin)


def _random_lengths(total, steps, random_state):
    """Return the lengths of as many successive batches as it takes to cover `total` steps."""
    shortest = min(5, steps)
    count = 2 * total // shortest + 1  # enough: the mean length is at least half the shortest
    around = np.where(random_state.random_sample(count) < 0.95, steps, steps / 2)
    lengths = np.maximum(shortest, random_state.normal(around, 5)).astype(np.int64)
    return lengths[: max(1, np.searchsorted(np.cumsum(lengths), total) + 1)]


def sentence_groups(offsets, batch_size, random_state=None):
    """Group sentences of similar lengths.

    Parameters
    ----------
    offsets : int64 array (n_sentences + 1,)
    batch_size : int
    random_state : RandomState instance or None
        Draws the order of the groups, and that of sentences of equal length; None only sorts.

    Returns
    -------
    list of int array
        The sentences of each group, at most `batch_size` of them.
    """
    lengths = np.diff(offsets)
    order = np.arange(len(lengths)) if random_state is None else random_state.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    groups = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if random_state is not None:
        random_state.shuffle(groups)
    return groups


class SentenceBatches(Sequence):
    """Batches of sentences side by side, of at most `steps` steps each; each is cut when it is indexed.

    Parameters
    ----------
    ids : int array (n_tokens,)
    offsets : int64 array (n_sentences + 1,)
        Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.
    groups : list of int array
        The sentences of each group. The batches of a group precede those of the next one.
    start : int or int array (n_sentences,)
        Input before the first token of each sentence.
    steps : int
    """

    def __init__(self, ids, offsets, groups, start, steps):
        self.ids, self.offsets, self.groups, self.start, self.steps = ids, offsets, groups, start, steps
        longest = [int((offsets[group + 1] - offsets[group]).max(initial=0)) for group in groups]
        self._ends = np.cumsum([-(-length // steps) for length in longest], dtype=np.int64)

    def __len__(self):
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, k):
        if not 0 <= k < len(self):
            raise IndexError(k)
        place = int(np.searchsorted(self._ends, k, side="right"))
        sentences, done = self.groups[place], int(self._ends[place - 1]) if place else 0
        t = (k - done) * self.steps
        lengths = self.offsets[sentences + 1] - self.offsets[sentences]
        size = min(self.steps, int(lengths.max()) - t)
        steps = np.arange(t - 1, t + size)[:, None]
        tokens = self.ids[np.clip(self.offsets[sentences] + steps, 0, len(self.ids) - 1)].astype(np.int32)
        before, targets = tokens[0], tokens[1:]
        if t == 0:
            before = self.start if np.ndim(self.start) == 0 else self.start[sentences]
        inputs = shift_right(targets, before)
        targets[steps[1:] >= lengths] = IGNORED
        inputs[steps[:-1] >= lengths] = 0
        return Batch(inputs, targets, np.clip(lengths - t, 0, size), t == 0, size)
