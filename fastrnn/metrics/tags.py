"""Tags, compared one by one."""

import itertools
import operator

import numpy as np

from fastrnn.text.schemes import lists_of_tags


def check_pairs(y_true, y_pred):
    """Return two lists of sequences as lists of lists; raise ValueError unless their lengths are equal."""
    y_true, y_pred = lists_of_tags(y_true, "y_true"), lists_of_tags(y_pred, "y_pred")
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true and y_pred must be as many sequences, got {len(y_true)} and {len(y_pred)}.")
    return y_true, y_pred


def check_lengths(y_true, y_pred):
    """Raise ValueError at the first sequence that has more tags in one list than in the other."""
    for index, (true, predicted) in enumerate(zip(y_true, y_pred, strict=True)):
        if len(true) != len(predicted):
            raise ValueError(
                f"y_true[{index}] and y_pred[{index}] must have as many tags, got {len(true)} and {len(predicted)}."
            )


def have_spans(y):
    """Return whether sequences are lists of spans (begin, end, type) rather than of tags."""
    return any(isinstance(tags[0], list | tuple) for tags in y if len(tags))


def tag_accuracy(y_true, y_pred):
    """Return the share of elements whose tag was predicted.

    Parameters
    ----------
    y_true, y_pred : list of sequences of tags
        Strings or numbers; the sequences have the same lengths in both.

    Returns
    -------
    float
        NaN if there are no tags.

    Raises
    ------
    ValueError
        The lengths differ: the message names the first sequence.

    Examples
    --------
    >>> tag_accuracy([["DET", "NOUN"], ["VERB"]], [["DET", "VERB"], ["VERB"]])
    0.6666666666666666
    """
    y_true, y_pred = check_pairs(y_true, y_pred)
    check_lengths(y_true, y_pred)
    total = sum(map(len, y_true))
    return sum(map(operator.eq, *map(itertools.chain.from_iterable, (y_true, y_pred)))) / total if total else np.nan
