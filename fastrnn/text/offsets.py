"""Texts cut into tokens whose places are known: labelled spans of characters become tags of tokens, and back."""

import bisect
import itertools

from fastrnn.text.reading import iterate_texts
from fastrnn.text.schemes import spans
from fastrnn.text.tokenization import tokenize_texts
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.utils.checks import shown, warn_caller


class CutTexts(list):
    """Tokens of texts: a list of list of str, which knows where each token stands.

    Parameters
    ----------
    texts : list of str
    tokens : list of list of str
    offsets : list of list of (begin, end)
        Place of each token, in characters of its text.
    """

    def __init__(self, texts, tokens, offsets):
        super().__init__(tokens)
        self.texts, self.offsets = texts, offsets

    @classmethod
    def of(cls, X, tokenizer="words", encoding="utf-8", name="X", learning=False):
        """Cut texts.

        Parameters
        ----------
        X : iterable of str, os.PathLike or file object
            The texts, or the files with a text a line.
        tokenizer, encoding, learning
            As in `fastrnn.text.iterate_corpus`.
        name : str, default="X"
            The argument's name in messages.

        Returns
        -------
        CutTexts

        Raises
        ------
        ValueError
            An element is no string, or the tokenizer changes a text, so that its tokens are not found in it.

        Examples
        --------
        >>> cut = CutTexts.of(["Ann lives in Rome."])
        >>> cut
        [['Ann', 'lives', 'in', 'Rome', '.']]
        >>> tags = cut.tags([[(0, 3, "PER"), (13, 17, "LOC")]])
        >>> tags
        [['B-PER', 'O', 'O', 'B-LOC', 'O']]
        >>> cut.spans(tags)
        [[(0, 3, 'PER'), (13, 17, 'LOC')]]
        """
        texts = list(iterate_texts(X, encoding, whole_files=True))
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"{name}[{index}] must be a string with input='text', got {shown(text)}.")
        tokens = list(tokenize_texts(texts, tokenizer, learning=learning))
        find = get_tokenizer(tokenizer).offsets
        offsets = [find(text, words) for text, words in zip(texts, tokens, strict=True)]
        for index, places in enumerate(offsets):
            if None in places:
                token = tokens[index][places.index(None)]
                raise ValueError(
                    f"tokenizer must return parts of the text, in their order: {shown(token)} is not in the rest of "
                    f"{name}[{index}]."
                )
        return cls(texts, tokens, offsets)

    def tags(self, y, name="y"):
        """Return labelled spans as tags of tokens, in the scheme "iob2".

        A span that does not begin and end with tokens is given all tokens that it shares a character with, and a
        warning says so. A token that two spans share belongs to the first one.

        Parameters
        ----------
        y : list of lists of (begin, end, label)
            Spans of characters of each text.
        name : str, default="y"
            The argument's name in messages.

        Returns
        -------
        list of list of str

        Raises
        ------
        ValueError
            A span is not in its text, or overlaps another one: the message names it.

        Warns
        -----
        UserWarning
            A span does not begin or end with a token.
        """
        if isinstance(y, str) or not hasattr(y, "__len__"):
            raise ValueError(f"{name} must be a list of spans for each text, got {shown(y)}.")
        if len(y) != len(self):
            names = f"X{name[1:]} and {name}"
            raise ValueError(f"{names} must have the same number of texts, got {len(self)} and {len(y)}.")
        tags, moved, n_spans = [], [], 0
        for index, found in enumerate(y):
            found = _checked(found, len(self.texts[index]), f"{name}[{index}]")
            written, wrong = _write(found, self.offsets[index])
            tags.append(written)
            moved += [(index, *span) for span in wrong]
            n_spans += len(found)
        if moved:
            index, begin, end, label = moved[0]
            warn_caller(
                f"{len(moved):,} of {n_spans:,} spans do not begin and end with tokens, and were moved to those, as "
                f"{shown((begin, end, label))} of {name}[{index}], {shown(self.texts[index][begin:end])}; another "
                "tokenizer may fit them."
            )
        return tags

    def spans(self, tags):
        """Return tags of tokens, in any scheme with prefixes, as labelled spans.

        Parameters
        ----------
        tags : list of sequences of str

        Returns
        -------
        list of lists of (begin, end, label)
            Spans of characters of each text.
        """
        return [
            [(places[begin][0], places[end - 1][1], label) for begin, end, label in found]
            for places, found in zip(self.offsets, spans(tags, "iob2"), strict=True)
        ]


def _checked(found, length, name):
    """Return the spans of one text in their order; raise ValueError about a wrong one."""
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        raise ValueError(f"{name} must be a list of spans (begin, end, label), got {shown(found)}.")
    checked = []
    for place, span in enumerate(found):
        if not isinstance(span, list | tuple) or len(span) != 3 or not isinstance(span[2], str) or not span[2]:
            raise ValueError(f"{name}[{place}] must be a span (begin, end, label), got {shown(span)}.")
        begin, end, label = span
        try:
            begin, end = begin.__index__(), end.__index__()
        except AttributeError:
            begin = -1
        if not 0 <= begin < end <= length:
            raise ValueError(f"{name}[{place}] must be a span within {length} characters, got {shown(span)}.")
        checked.append((begin, end, label))
    checked.sort()
    for first, second in itertools.pairwise(checked):
        if second[0] < first[1]:
            raise ValueError(f"{name} has spans that overlap, and a token has one label: {first} and {second}.")
    return checked


def _write(found, offsets):
    """Return the tags of one text, and the spans that were moved."""
    tags, moved, taken = ["O"] * len(offsets), [], 0
    begins, ends = [begin for begin, _ in offsets], [end for _, end in offsets]
    for begin, end, label in found:
        first, stop = max(taken, bisect.bisect_right(ends, begin)), bisect.bisect_left(begins, end)
        if first < stop:
            tags[first:stop] = [f"B-{label}", *[f"I-{label}"] * (stop - first - 1)]
            taken = stop
        if first >= stop or (begins[first], ends[stop - 1]) != (begin, end):
            moved.append((begin, end, label))
    return tags, moved
