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
        Whether the columns begin here; otherwise they go on where the batch before ended.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None
    fresh: bool


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


def stream_batches(inputs, targets, steps):
    """Return the batches of `steps` steps, one after the other, of streams (T, B)."""
    return [
        Batch(inputs[t : t + steps], targets[t : t + steps], None, fresh=t == 0) for t in range(0, len(inputs), steps)
    ]


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
    return [
        Batch(inputs[t : t + steps], targets[t : t + steps], np.clip(lengths - t, 0, min(steps, longest - t)), t == 0)
        for t in range(0, longest, steps)
    ]
