"""Schemes that write spans as tags: a tag says whether its token is outside, or the first or last of a span of a type.

"iob2" begins each span with ``B-``, "iob1" only a span that follows one of its type. "bioes" also marks the last
token (``E-``) and a span of one token (``S-``); "bilou" (``L-``, ``U-``) and "bmes" (``M-`` for ``I-``) spell the same.
Tags that follow no scheme are read by the rules of ``conlleval``, the script of the CoNLL shared tasks: they are the
same for all schemes.
"""

import itertools
from typing import NamedTuple

import numpy as np

from fastrnn.utils.checks import check_choice, shown
from fastrnn.utils.ragged import offsets_of, parts_of, place_of

OUTSIDE, BEGIN, INSIDE, END, SINGLE = range(5)
_LETTERS = {"iob1": "OBI", "iob2": "OBI", "bioes": "OBIES", "bilou": "OBILU", "bmes": "OBMES"}  # in the order above
SCHEMES = tuple(_LETTERS)
_PREFIXES = {letter: prefix for letters in _LETTERS.values() for prefix, letter in enumerate(letters)}
_WITH_ENDS = ("bioes", "bilou", "bmes")


class TagArrays(NamedTuple):
    """Sequences of tags as arrays, one after the other.

    Attributes
    ----------
    prefixes : int8 array (N,)
        `OUTSIDE`, `BEGIN`, `INSIDE`, `END` or `SINGLE`.
    types : int32 array (N,)
        Places in `names`; -1 outside.
    names : tuple of str
        The types in the order of their appearance.
    offsets : int64 array (n + 1,)
        Sequence i is offsets[i] to offsets[i + 1].
    """

    prefixes: np.ndarray
    types: np.ndarray
    names: tuple
    offsets: np.ndarray


class SpanArrays(NamedTuple):
    """The spans of many sequences of tags, in their order.

    Attributes
    ----------
    begins, ends : int64 array (S,)
        First token, and the one after the last, as places among the tokens of all sequences.
    types : int32 array (S,)
        Places in `TagArrays.names`.
    """

    begins: np.ndarray
    ends: np.ndarray
    types: np.ndarray


def find_scheme(y):
    """Return the scheme that tags were written in.

    Parameters
    ----------
    y : list of sequences of str
        The tags of each sequence.

    Returns
    -------
    {"iob1", "iob2", "bioes", "bilou", "bmes", None}
        None if the tags are no spans: parts of speech, for instance. Between "iob1" and "iob2", the one with fewer
        violations.

    Examples
    --------
    >>> find_scheme([["O", "B-PER", "I-PER"]]), find_scheme([["I-PER", "O"]]), find_scheme([["DET", "NOUN"]])
    ('iob2', 'iob1', None)
    """
    flat, offsets = _flat(y, "y")
    labels = dict.fromkeys(flat)
    scheme = _scheme_of_labels(labels)
    if scheme != "iob2":
        return scheme
    tags = _parse(flat, labels, offsets, "y")
    starts, after_same = _starts(tags)
    begins_wrongly = np.count_nonzero(starts & (tags.prefixes == INSIDE))
    has_needless_begin = np.count_nonzero((tags.prefixes == BEGIN) & ~after_same)
    return "iob1" if has_needless_begin < begins_wrongly else "iob2"


def _scheme_of_labels(labels):
    """Return the scheme of distinct labels; "iob2" also stands for "iob1"."""
    if not all(isinstance(label, str) for label in labels):
        return None
    inside = [label for label in labels if label != "O"]
    letters = {label[:1] for label in inside}
    if all(label[1:2] == "-" and len(label) > 2 for label in inside):  # with types
        begins = "O" not in letters and letters & {"B", "I", "S", "U"}
    else:  # "I" and "E" alone may be introns and exons
        begins = "B" in letters and letters & {"I", "M", "E", "L"} and all(len(label) == 1 for label in inside)
    if not begins:
        return None
    return next((scheme for scheme in ("iob2", *_WITH_ENDS) if letters <= set(_LETTERS[scheme])), None)


def read_tags(y, scheme, name="y"):
    """Return sequences of tags as arrays.

    Parameters
    ----------
    y : list of sequences of str
    scheme : str or None
        One of `SCHEMES`. All are read alike; None takes a tag for a type, and "O" for outside.
    name : str, default="y"
        The argument's name in messages.

    Returns
    -------
    TagArrays

    Raises
    ------
    ValueError
        A tag is in no scheme: the message names the first one.
    """
    check_choice("scheme", scheme, (None, *SCHEMES))
    flat, offsets = _flat(y, name)
    labels = dict.fromkeys(flat)
    if scheme is not None:
        return _parse(flat, labels, offsets, name)
    names = tuple(label for label in labels if label != "O")
    place = {"O": -1, **{label: type_ for type_, label in enumerate(names)}}
    types = np.fromiter(map(place.__getitem__, flat), np.int32, len(flat))
    return TagArrays(np.where(types < 0, OUTSIDE, INSIDE).astype(np.int8), types, names, offsets)


def lists_of_tags(y, name="y"):
    """Return sequences of tags with arrays as lists; raise ValueError if they are something else.

    Parameters
    ----------
    y : iterable of sequences of tags
    name : str, default="y"
        The argument's name in messages.

    Returns
    -------
    list of sequences of tags

    Examples
    --------
    >>> import numpy as np
    >>> lists_of_tags([np.array(["O", "B-PER"]), ["O"]])
    [['O', 'B-PER'], ['O']]
    """
    if isinstance(y, str) or not hasattr(y, "__iter__"):
        raise ValueError(f"{name} must be lists of tags, one for each sequence, got {shown(y)}.")
    y = [tags.tolist() if isinstance(tags, np.ndarray) else tags for tags in y]
    for index, tags in enumerate(y):
        if isinstance(tags, str) or not hasattr(tags, "__len__"):
            raise ValueError(f"{name}[{index}] must be a list of tags, got {shown(tags)}.")
    return y


def _flat(y, name):
    """Return the tags of all sequences in one list, and the offsets of the sequences (n + 1,)."""
    sequences = lists_of_tags(y, name)
    return list(itertools.chain.from_iterable(sequences)), offsets_of([len(tags) for tags in sequences])


def _parse(flat, labels, offsets, name):
    """Return tags that are a prefix and perhaps a type as `TagArrays`."""
    prefixes, types, names = [], [], {}
    for label in labels:
        letter, dash, type_ = label.partition("-") if isinstance(label, str) else ("", "", "")
        if letter not in _PREFIXES or (letter == "O" and dash):
            sequence, place = place_of(flat.index(label), offsets)
            raise ValueError(
                f"{name}[{sequence}][{place}] must be a tag as 'O', 'B-PER' or 'I-PER', got "
                f"{shown(label)}: scheme=None makes spans of runs of equal tags."
            )
        prefixes.append(_PREFIXES[letter])
        types.append(-1 if letter == "O" else names.setdefault(type_, len(names)))
    place = dict(zip(labels, range(len(labels)), strict=True))
    codes = np.fromiter(map(place.__getitem__, flat), np.int32, len(flat))
    return TagArrays(np.array(prefixes, np.int8)[codes], np.array(types, np.int32)[codes], tuple(names), offsets)


def _starts(tags):
    """Return which tokens begin a span (N,), and which follow one of the same type (N,)."""
    prefixes, types = tags.prefixes, tags.types
    after = np.zeros(len(prefixes), bool)
    after[1:] = (types[1:] == types[:-1]) & (types[1:] >= 0)
    first = tags.offsets[:-1]
    after[first[first < len(after)]] = False
    starts = ~after | (prefixes == BEGIN) | (prefixes == SINGLE)
    starts[1:] |= (prefixes[:-1] == END) | (prefixes[:-1] == SINGLE)
    return starts & (prefixes != OUTSIDE), after


def _stops(tags, starts):
    """Return which tokens are the last one of a span (N,), where `starts` says which are the first one."""
    stops = np.ones(len(starts), bool)
    stops[:-1] = starts[1:] | (tags.prefixes[1:] == OUTSIDE)
    last = tags.offsets[1:] - 1
    stops[last[last >= 0]] = True
    return stops & (tags.prefixes != OUTSIDE)


def span_arrays(tags, scheme=None, strict=False):
    """Return the spans of many sequences.

    Parameters
    ----------
    tags : TagArrays
    scheme : str or None, default=None
        One of `SCHEMES`, for `strict`.
    strict : bool, default=False
        Whether to leave out spans that are not as the scheme would write them.

    Returns
    -------
    SpanArrays
    """
    starts, after_same = _starts(tags)
    begins, lasts = np.flatnonzero(starts), np.flatnonzero(_stops(tags, starts))
    if strict and scheme is not None:
        first, last = tags.prefixes[begins], tags.prefixes[lasts]
        if scheme in _WITH_ENDS:
            good = np.where(begins == lasts, first == SINGLE, (first == BEGIN) & (last == END))
        elif scheme == "iob2":
            good = (first == BEGIN) & (last != END)
        else:
            good = np.where(first == BEGIN, after_same[begins], first == INSIDE) & (last != END)
        begins, lasts = begins[good], lasts[good]
    return SpanArrays(begins, lasts + 1, tags.types[begins])


def spans(y, scheme="auto", strict=False):
    """Return the spans that tags stand for.

    Parameters
    ----------
    y : list of sequences of str
        The tags of each sequence.
    scheme : {"auto", "iob1", "iob2", "bioes", "bilou", "bmes", None}, default="auto"
        None makes a span of each run of equal tags other than "O"; "auto" is `find_scheme`.
    strict : bool, default=False
        Whether to leave out spans that are not as the scheme would write them. By default, ``conlleval`` is followed:
        a span begins at any tag after another type, after "O", or after an end, and at each ``B-`` and ``S-``.

    Returns
    -------
    list of lists of (begin, end, type)
        ``begin`` is the first token, ``end`` the one after the last.

    Raises
    ------
    ValueError
        A tag is in no scheme.

    References
    ----------
    Erik Tjong Kim Sang and Sabine Buchholz, "Introduction to the CoNLL-2000 shared task: chunking", 2000.

    Examples
    --------
    >>> y = [["B-PER", "I-PER", "O", "I-LOC"], ["O"]]
    >>> spans(y)
    [[(0, 2, 'PER'), (3, 4, 'LOC')], []]
    >>> spans(y, strict=True)
    [[(0, 2, 'PER')], []]
    """
    scheme = resolve_scheme(scheme, y)
    tags = read_tags(y, scheme)
    found = span_arrays(tags, scheme, strict)
    sequence = np.searchsorted(tags.offsets, found.begins, side="right") - 1
    shift = tags.offsets[sequence]
    result = [[] for _ in range(len(tags.offsets) - 1)]
    for place, *span in zip(
        sequence.tolist(), (found.begins - shift).tolist(), (found.ends - shift).tolist(), found.types.tolist(),
        strict=True,
    ):  # fmt: skip
        result[place].append((span[0], span[1], tags.names[span[2]]))
    return result


def resolve_scheme(scheme, y):
    """Return a scheme, where "auto" is that of the tags.

    Parameters
    ----------
    scheme : str or None
        "auto", one of `SCHEMES`, or None.
    y : list of sequences of str

    Returns
    -------
    str or None
    """
    check_choice("scheme", scheme, ("auto", None, *SCHEMES))
    return find_scheme(y) if scheme == "auto" else scheme


def to_scheme(y, scheme_from, scheme_to):
    """Return the same spans in tags of another scheme.

    Parameters
    ----------
    y : list of sequences of str
    scheme_from, scheme_to : {"iob1", "iob2", "bioes", "bilou", "bmes", None}
        None stands for types without prefixes, which does not divide two spans of a type that touch.

    Returns
    -------
    list of lists of str

    Raises
    ------
    ValueError
        A tag is in no scheme.

    Examples
    --------
    >>> to_scheme([["I-PER", "I-PER", "B-PER", "O"]], "iob1", "bioes")
    [['B-PER', 'E-PER', 'S-PER', 'O']]
    """
    check_choice("scheme_to", scheme_to, (None, *SCHEMES))
    tags = read_tags(y, scheme_from)
    starts, after_same = _starts(tags)
    begins = starts & after_same if scheme_to == "iob1" else starts
    prefixes = np.where(tags.prefixes == OUTSIDE, OUTSIDE, np.where(begins, BEGIN, INSIDE))
    if scheme_to in _WITH_ENDS:
        stops = _stops(tags, starts)
        prefixes[stops] = np.where(starts[stops], SINGLE, END)
    letters = _LETTERS[scheme_to or "bioes"]
    labels = np.full((len(letters), len(tags.names) + 1), "O", object)  # the last column, that of type -1, is outside
    for prefix, letter in enumerate(letters[1:], start=1):
        for type_, name in enumerate(tags.names):
            labels[prefix, type_] = name if scheme_to is None else f"{letter}-{name}" if name else letter
    return parts_of(labels[prefixes, tags.types].tolist(), tags.offsets)


def allowed(classes, scheme):
    """Return which tags may begin a sequence, follow one another, and end a sequence.

    Parameters
    ----------
    classes : sequence of str, K tags
    scheme : {"iob1", "iob2", "bioes", "bilou", "bmes", None}
        None allows everything. So does a scheme in which the tags alone write no sequence of some length.

    Returns
    -------
    start : bool array (K,)
    transitions : bool array (K, K)
        ``transitions[i, j]``: whether tag j may follow tag i.
    end : bool array (K,)

    Raises
    ------
    ValueError
        A tag is in no scheme.

    Examples
    --------
    >>> start, transitions, end = allowed(["B-PER", "I-PER", "O"], "iob2")
    >>> start.tolist(), transitions[2].tolist(), end.tolist()
    ([True, False, True], [True, False, True], [True, True, True])
    """
    everything = np.ones(len(classes), bool), np.ones((len(classes), len(classes)), bool), np.ones(len(classes), bool)
    tags = read_tags([list(classes)], scheme, "classes")
    if scheme is None or not len(classes):
        return everything
    prefixes, same = tags.prefixes, (tags.types[:, None] == tags.types) & (tags.types >= 0)
    if scheme == "iob1":
        start, end, transitions = prefixes != BEGIN, everything[2], same | (prefixes != BEGIN)
    else:
        is_open = np.isin(prefixes, (BEGIN, INSIDE))  # the span goes on after it, perhaps or certainly
        goes_on = np.isin(prefixes, (INSIDE, END))
        start, end = ~goes_on, ~is_open if scheme in _WITH_ENDS else everything[2]
        transitions = np.where(goes_on, is_open[:, None] & same, end[:, None])
    if not (start & end & transitions.diagonal()).any():
        return everything
    return start, transitions, end
