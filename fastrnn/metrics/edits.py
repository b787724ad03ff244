"""Edit distance (Levenshtein 1966) in compiled code, and the rates of errors that are counted by it."""

import itertools

import numpy as np

from fastrnn._jit import kernel
from fastrnn.metrics.sequences import check_pairs_of_sequences, check_references, integer_pairs, is_text
from fastrnn.utils.checks import shown
from fastrnn.utils.ragged import offsets_of


@kernel
def _edit_distances(
    distances,  # int64 (n,): output
    row,  # int32 (at least the longest sequence + 1,): scratch
    first,  # int32 (N,): sequences one after another
    second,  # int32 (M,)
    first_offsets,  # int64 (n + 1,)
    second_offsets,  # int64 (n + 1,)
):
    """Write the edit distance of each pair of sequences.

    A row of the table of distances is in memory at a time: row[j] is the distance to the first j elements of the second
    sequence, minus j. Without that j, an insertion costs 0, and the chain from column to column is a minimum alone.
    """
    for pair in range(len(distances)):
        a, a_end = first_offsets[pair], first_offsets[pair + 1]
        b, b_end = second_offsets[pair], second_offsets[pair + 1]
        while a < a_end and b < b_end and first[a] == second[b]:  # equal ends cost nothing
            a, b = a + 1, b + 1
        while a < a_end and b < b_end and first[a_end - 1] == second[b_end - 1]:
            a_end, b_end = a_end - 1, b_end - 1
        n = b_end - b
        row[: n + 1] = 0
        for i in range(a, a_end):
            diagonal, left = row[0], row[0] + 1  # of the row above; of this row
            row[0] = left
            for j in range(n):
                above = row[j + 1]
                left = min(left, min(above + 1, diagonal - (first[i] == second[b + j])))
                row[j + 1], diagonal = left, above
        distances[pair] = row[n] + n


def edit_distance(y_true, y_pred):
    """Return the least number of insertions, deletions and substitutions that turn each sequence into its partner.

    Parameters
    ----------
    y_true, y_pred : list of str, or list of sequences of tokens
        n sequences each, as many in both. The elements of a text are its characters (code points of Unicode: an
        accent may be one by itself). Tokens are strings, integers or other hashable values.

    Returns
    -------
    int64 array (n,)

    Raises
    ------
    ValueError
        The numbers of sequences differ, or texts stand beside lists of tokens.

    Notes
    -----
    One call of compiled code handles all pairs. A pair of lengths S and T takes S·T steps and memory for T.

    References
    ----------
    Vladimir Levenshtein, "Binary codes capable of correcting deletions, insertions and reversals", 1966. Robert Wagner
    and Michael Fischer, "The string-to-string correction problem", 1974.

    Examples
    --------
    >>> edit_distance(["kitten", "same"], ["sitting", "same"])
    array([3, 0])
    >>> edit_distance([["k", "æ", "t"]], [["k", "ʌ", "t", "s"]])
    array([2])
    """
    return _distances(*check_pairs_of_sequences(y_true, y_pred))


def _distances(y_true, y_pred):
    """Return the edit distances of checked sequences, int64 (n,)."""
    pairs = integer_pairs(y_true, y_pred)
    distances = np.empty(len(y_true), np.int64)
    row = np.empty(max(map(len, y_pred), default=0) + 1, np.int32)
    _edit_distances(distances, row, *pairs)
    return distances


def _error_rate(references, y_pred):
    """Return edits by the sum of reference lengths; each sequence is compared with the closest of its references."""
    n_references = list(map(len, references))
    flat = list(itertools.chain.from_iterable(references))
    owners = np.repeat(np.arange(len(y_pred)), n_references)
    distances = _distances(flat, [y_pred[owner] for owner in owners.tolist()])
    closest = np.lexsort((distances, owners))[offsets_of(n_references)[:-1]]
    total = sum(len(flat[place]) for place in closest.tolist())
    return float(distances[closest].sum() / total) if total else np.nan


def token_error_rate(y_true, y_pred):
    """Return the number of wrong tokens for each token of the references: edits by the sum of reference lengths.

    With phones as tokens this is the phone error rate.

    Parameters
    ----------
    y_true : list of sequences of tokens, or list of str
        The references. A text is split into tokens at white space. A sequence may have several references, a list of
        them: it is compared with the closest one.
    y_pred : list of sequences of tokens, or list of str
        As many as in `y_true`.

    Returns
    -------
    float
        0 if all is right; above 1 if predictions are much too long; NaN if the references have no token.

    Raises
    ------
    ValueError
        The numbers of sequences differ, or texts stand beside lists of tokens.

    Examples
    --------
    >>> token_error_rate([["k", "æ", "t"], ["ɪ", "t"]], [["k", "ʌ", "t"], ["ɪ", "t"]])
    0.2
    >>> token_error_rate(["k æ t", "ɪ t"], ["k ʌ t", "ɪ t"])
    0.2
    """
    references, y_pred = check_references(y_true, y_pred)
    return _error_rate(*(_words(references, y_pred) if y_pred and is_text(y_pred[0]) else (references, y_pred)))


def _words(references, y_pred):
    """Return the words of each text, split at white space."""
    return [[text.split() for text in texts] for texts in references], [text.split() for text in y_pred]


def word_error_rate(y_true, y_pred):
    """Return the number of wrong words for each word of the references: edits by the sum of reference lengths.

    This is the word error rate of speech recognition and translation, for texts of several words. Papers on
    grapheme-to-phoneme conversion give this name to another figure, the share of words with any error in their
    pronunciation: 1 - `exact_match`.

    Parameters
    ----------
    y_true, y_pred : list of str
        As in `token_error_rate`. Texts are split into words at white space.

    Returns
    -------
    float
        As of `token_error_rate`.

    Raises
    ------
    ValueError
        The numbers of texts differ, or there is something else than texts.

    Examples
    --------
    >>> word_error_rate(["the cat sat on the mat"], ["a cat sat on mat"])
    0.3333333333333333
    """
    return _error_rate(*_words(*_texts(y_true, y_pred, "word_error_rate")))


def character_error_rate(y_true, y_pred):
    """Return the number of wrong characters for each character of the references: edits by the sum of their lengths.

    Parameters
    ----------
    y_true, y_pred : list of str
        As in `token_error_rate`. Characters are code points of Unicode, white space included.

    Returns
    -------
    float
        As of `token_error_rate`.

    Raises
    ------
    ValueError
        The numbers of texts differ, or there is something else than texts.

    Examples
    --------
    >>> character_error_rate(["1994-09-27"], ["1994-08-27"])
    0.1
    """
    return _error_rate(*_texts(y_true, y_pred, "character_error_rate"))


def _texts(y_true, y_pred, name):
    references, y_pred = check_references(y_true, y_pred)
    if y_pred and not is_text(y_pred[0]):
        raise ValueError(
            f"{name} compares texts, got lists of tokens as {shown(y_pred[0])}: token_error_rate compares these."
        )
    return references, y_pred


def exact_match(y_true, y_pred):
    """Return the share of sequences that are predicted without any error.

    1 - `exact_match` is the error rate by sequences. In papers on grapheme-to-phoneme conversion, where a sequence is
    the pronunciation of a word, it is called word error rate.

    Parameters
    ----------
    y_true : list of str, or list of sequences of tokens
        A sequence may have several references, a list of them: it is right if it equals one.
    y_pred : list of str, or list of sequences of tokens
        As many as in `y_true`.

    Returns
    -------
    float
        NaN if there are no sequences.

    Raises
    ------
    ValueError
        The numbers of sequences differ, or texts stand beside lists of tokens.

    Examples
    --------
    >>> exact_match(["1994-09-27", "2003-08-19"], ["1994-09-27", "2003-08-09"])
    0.5
    >>> exact_match([["Va !", "Bouge !"]], ["Bouge !"])
    1.0
    """
    references, y_pred = check_references(y_true, y_pred)
    if not y_pred:
        return np.nan
    right = (
        any(_plain(true) == _plain(predicted) for true in found)
        for found, predicted in zip(references, y_pred, strict=True)
    )
    return sum(right) / len(y_pred)


def _plain(sequence):
    """Return a sequence in a form that compares with others: lists and tuples of the same tokens are equal."""
    return sequence if is_text(sequence) else list(sequence)
