"""Batches of token sequences: contiguous streams, and sentences of similar lengths."""

from typing import NamedTuple

import numpy as np

IGNORED = -1  # a target that is none: padding


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
        Whether the columns begin here; otherwise they go on where the batch before left off.
    advance : int
        Step at which the next batch begins: T, or less where batches overlap.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None
    fresh: bool
    advance: int


def contiguous_streams(ids, start, n_streams):
    """Cut a text into streams of equal length that run side by side.

    Parameters
    ----------
    ids : int32 array (n,)
        The text.
    start : int
        What is fed in before the first token.
    n_streams : int

    Returns
    -------
    inputs, targets : int32 array (T, n_streams)
        Stream b holds the tokens b·T to (b + 1)·T − 1 as targets; the last one is filled up with `IGNORED`.

    Examples
    --------
    >>> inputs, targets = contiguous_streams(np.array([5, 6, 7, 8, 9], "int32"), 3, 2)
    >>> inputs.T
    array([[3, 5, 6],
           [7, 8, 0]], dtype=int32)
    >>> targets.T
    array([[ 5,  6,  7],
           [ 8,  9, -1]], dtype=int32)
    """
    steps = -(-len(ids) // n_streams)
    inputs = np.zeros(steps * n_streams, np.int32)
    targets = np.full(steps * n_streams, IGNORED, np.int32)
    inputs[:1] = start
    inputs[1 : len(ids)] = ids[:-1]
    targets[: len(ids)] = ids
    return tuple(np.ascontiguousarray(a.reshape(n_streams, steps).T) for a in (inputs, targets))


def stream_batches(inputs, targets, steps, stride=None):
    """Cut streams into batches for truncated backpropagation.

    Parameters
    ----------
    inputs, targets : int32 array (T, B)
    steps : int
        Steps through which gradients go back, k2.
    stride : int or None, default=None
        Steps from batch to batch, k1, at most `steps`; None is `steps`. Where batches overlap, every target counts in
        the first batch that has it only (Williams and Peng 1990).

    Returns
    -------
    list of Batch
    """
    stride = stride or steps
    batches, begin, done = [], 0, 0
    while done < len(inputs):
        end = min(done + stride, len(inputs))
        following = max(begin, end + stride - steps)
        counted = targets[begin:end]
        if begin < done:
            counted = counted.copy()
            counted[: done - begin] = IGNORED
        batches.append(Batch(inputs[begin:end], counted, None, begin == 0, following - begin))
        begin, done = following, end
    return batches


def sentence_groups(offsets, batch_size, random_state=None):
    """Group sentences of similar lengths.

    Parameters
    ----------
    offsets : int64 array (n_sentences + 1,)
    batch_size : int
    random_state : RandomState instance or None
        Draws the order of the groups, and who is whose neighbour among sentences of the same length; None sorts only.

    Returns
    -------
    list of int array
        The sentences of each group, at most `batch_size`.
    """
    lengths = np.diff(offsets)
    order = np.arange(len(lengths)) if random_state is None else random_state.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    groups = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if random_state is not None:
        random_state.shuffle(groups)
    return groups


def sentence_batches(ids, offsets, sentences, start, steps):
    """Return the batches of at most `steps` steps of some sentences, which stand side by side.

    Parameters
    ----------
    ids : int32 array (n_tokens,)
    offsets : int64 array (n_sentences + 1,)
        Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.
    sentences : int array (B,)
    start : int
        What is fed in before the first token of each sentence.
    steps : int

    Returns
    -------
    list of Batch
    """
    lengths = offsets[sentences + 1] - offsets[sentences]
    longest = lengths.max(initial=0)
    place = np.arange(longest)[:, None]
    targets = ids[np.minimum(offsets[sentences] + place, len(ids) - 1)]
    targets[place >= lengths] = IGNORED
    inputs = np.zeros_like(targets)
    inputs[:1] = start
    inputs[1:] = np.maximum(targets[:-1], 0)
    batches = []
    for t in range(0, longest, steps):
        size = min(steps, longest - t)
        alive = np.clip(lengths - t, 0, size)
        batches.append(Batch(inputs[t : t + size], targets[t : t + size], alive, t == 0, size))
    return batches
