"""English sentences from the documentation that every Python ships."""

import platform
import re
import textwrap

from sklearn.utils import Bunch

_BLOCK_END = re.compile(r"\n\s*\n")
_LIST_MARK = re.compile(r"^(?:[*•]|\d+\.|\[\d+\])\s+")
_PROSE_START = re.compile(r"[\"“(*]*[A-Z]")
_PROSE_END = re.compile(r"[.?!:][)\"”]*$")
_NOT_PROSE = re.compile(r"::=|>>>|--\+|==\||\|")  # grammar, an interpreter session, a table
_BROKEN_WORD = re.compile(r"(?<=\w-) (?=\w)")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})(?![\s*])([^*]*[^\s*])\1(?![\w*])")
_SENTENCE_END = re.compile(r"(?<=[.?!])(?<!e\.g\.)(?<!i\.e\.)\s+(?=[\"“(]?[A-Z])")

_DESCR = """\
Sentences of the Python language reference
------------------------------------------
The running text of ``pydoc_data.topics``, which holds the pages of the language reference that ``help()`` shows
(here of Python {version}): one sentence an element, in the order of the topics' names. Headings, code, grammars and
tables are left out, and so are marks of emphasis and every sentence that stood before (topics quote each other).

:Number of sentences: {n_sentences}
:Language: English
:Copyright: Python Software Foundation; PSF License Version 2
"""


def load_python_docs():
    """Load English sentences from the documentation that every Python ships.

    These are about 40,000 words of technical prose, the pages that ``help()`` shows: enough to try a language model
    without a download. They differ a little from one Python version to the next.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str, one sentence each, no sentence twice; ``DESCR``: str, a description.

    Examples
    --------
    >>> from fastrnn.datasets import load_python_docs
    >>> load_python_docs().data[0]
    'Assert statements are a convenient way to insert debugging assertions into a program:'
    """
    from pydoc_data.topics import topics  # half a megabyte of text

    sentences = [
        sentence
        for _, topic in sorted(topics.items())
        for block in _BLOCK_END.split(topic)
        for sentence in _sentences(block)
    ]
    data = list(dict.fromkeys(sentences))
    return Bunch(data=data, DESCR=_DESCR.format(version=platform.python_version(), n_sentences=len(data)))


def _sentences(block):
    """Return the sentences of a block of text; an empty list if it is not prose."""
    lines = textwrap.dedent(block).strip("\n").split("\n")
    if len(lines) > 1 and lines[1].startswith(" ") and not _LIST_MARK.match(lines[0]):
        del lines[0]  # a term above its definition
    text = _BROKEN_WORD.sub("", _LIST_MARK.sub("", " ".join(" ".join(lines).split())))
    if not _PROSE_START.match(text) or not _PROSE_END.search(text) or _NOT_PROSE.search(text):
        return []
    return _SENTENCE_END.split(_EMPHASIS.sub(r"\2", text))
