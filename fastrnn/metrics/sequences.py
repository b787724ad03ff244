"""True and predicted sequences, texts or lists of tokens, checked and as integers."""

import itertools
from typing import NamedTuple

import numpy as np

from fastrnn.utils.checks import shown
from fastrnn.utils.ragged import offsets_of


class IntegerPairs(NamedTuple):
    """Pairs of sequences as integers: equal elements have equal integers.

    Attributes
    ----------
    true, predicted : int32 array (N,)
        The elements of all sequences, one after another.
    true_offsets, predicted_offsets : int64 array (n + 1,)
        Sequence i is offsets[i] to offsets[i + 1].
    """

    true: np.ndarray
    predicted: np.ndarray
    true_offsets: np.ndarray
    predicted_offsets: np.ndarray


def is_text(value):
    """Return whether a value is one sequence that is a text, not a list of tokens."""
    return isinstance(value, str)


def check_sequences(y, name):
    """Return sequences as a list, arrays among them as lists; raise ValueError if they are something else.

    Parameters
    ----------
    y : iterable of str, or of sequences of tokens
    name : str
        The argument's name in messages.

    Returns
    -------
    list of str, or list of sequences of tokens
    """
    if isinstance(y, str | dict) or not hasattr(y, "__iter__"):
        raise ValueError(f"{name} must be a list of texts or of lists of tokens, got {shown(y)}.")
    y = [sequence.tolist() if isinstance(sequence, np.ndarray) else sequence for sequence in y]
    for index, sequence in enumerate(y):
        if not is_text(sequence) and (not hasattr(sequence, "__len__") or isinstance(sequence, dict)):
            raise ValueError(f"{name}[{index}] must be a text or a list of tokens, got {shown(sequence)}.")
        if is_text(sequence) != is_text(y[0]):
            raise ValueError(
                f"{name} must be texts only or lists of tokens only, got {shown(y[0])} and {shown(sequence)}."
            )
    return y


def check_pairs_of_sequences(y_true, y_pred):
    """Return two lists of as many sequences, both of texts or both of lists of tokens; else raise ValueError."""
    y_true, y_pred = check_sequences(y_true, "y_true"), check_sequences(y_pred, "y_pred")
    _check_numbers(y_true, y_pred)
    if y_true and is_text(y_true[0]) != is_text(y_pred[0]):
        raise ValueError(
            "y_true and y_pred must both be texts or both be lists of tokens, got "
            f"{shown(y_true[0])} and {shown(y_pred[0])}."
        )
    return y_true, y_pred


def check_references(y_true, y_pred):
    """Return the lists of references of each prediction, and the predictions; raise ValueError if they do not fit.

    A prediction that is a text has one text as reference, or a list of texts; one that is a list of tokens has a list
    of tokens, or a list of such lists.
    """
    y_pred = check_sequences(y_pred, "y_pred")
    if isinstance(y_true, str | dict) or not hasattr(y_true, "__iter__"):
        raise ValueError(f"y_true must be a list of texts or of lists of tokens, got {shown(y_true)}.")
    y_true = list(y_true)
    _check_numbers(y_true, y_pred)
    references = []
    for index, (true, predicted) in enumerate(zip(y_true, y_pred, strict=True)):
        if isinstance(true, np.ndarray):
            true = true.tolist()
        if is_text(predicted):
            several = not is_text(true)
        else:
            several = isinstance(true, list | tuple) and bool(len(true)) and isinstance(true[0], list | tuple)
        found = check_sequences(true if several else [true], f"y_true[{index}]")
        if not found or is_text(found[0]) != is_text(predicted):
            expected = "a text or several" if is_text(predicted) else "a list of tokens or several"
            raise ValueError(f"y_true[{index}] must be {expected}, as y_pred[{index}] is, got {shown(true)}.")
        references.append(found)
    return references, y_pred


def _check_numbers(y_true, y_pred):
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true and y_pred must be as many sequences, got {len(y_true)} and {len(y_pred)}.")


def integer_pairs(y_true, y_pred):
    """Return checked pairs of sequences as integers; the elements of a text are its characters."""
    offsets = [offsets_of(list(map(len, y))) for y in (y_true, y_pred)]
    if y_true and is_text(y_true[0]):
        values = [np.frombuffer("".join(y).encode("utf-32-le", "surrogatepass"), np.int32) for y in (y_true, y_pred)]
    else:
        flat = [list(itertools.chain.from_iterable(y)) for y in (y_true, y_pred)]
        try:
            number = {token: number for number, token in enumerate(dict.fromkeys(itertools.chain(*flat)))}
        except TypeError as error:
            raise ValueError(
                f"y_true and y_pred must hold strings, integers or other hashable tokens: {error}."
            ) from None
        values = [np.fromiter(map(number.__getitem__, tokens), np.int32, len(tokens)) for tokens in flat]
    return IntegerPairs(*values, *offsets)
