"""Pairs of sentences, one of them good English, for `fastrnn.inspection.minimal_pairs`."""

import inspect

from sklearn.utils import Bunch

from fastrnn.datasets._folder import find
from fastrnn.text.reading import open_lines


def load_blimp():
    """Load BLiMP, 67,000 minimal pairs of English grammar (Warstadt et al. 2020).

    Returns
    -------
    sklearn.utils.Bunch
        ``good`` and ``bad``: lists of str; ``paradigm``: list of str, the 67 kinds of pairs, 1,000 each; ``term``: list
        of str, the 13 phenomena of the kinds; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    rows = _read("blimp/blimp.tsv")
    columns = {"good": "sentence_good", "bad": "sentence_bad", "paradigm": "UID", "term": "linguistics_term"}
    return _bunch(load_blimp, rows, columns)


def load_marvin_linzen():
    """Load 25,884 minimal pairs of English agreement and negative polarity (Marvin and Linzen 2018).

    The sentences are in lower case, without a full stop.

    Returns
    -------
    sklearn.utils.Bunch
        ``good`` and ``bad``: lists of str; ``template``: list of str, the 22 constructions, "simple_agrmt" for
        instance; ``case``: list of str, the singular and plural parts of them; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    rows = _read("marvin_linzen/pairs.tsv")
    return _bunch(load_marvin_linzen, rows, {name: name for name in ("good", "bad", "template", "case")})


def _read(name):
    """Return the rows of a table, lists of str; the first one names the columns."""
    return [line.split("\t") for line in open_lines(find(name))]


def _bunch(loader, rows, columns):
    """Return a Bunch of the columns of a table, by new names, and the description of the loader."""
    header, *rows = rows
    lists = zip(*rows, strict=True)
    content = dict(zip(header, map(list, lists), strict=True))
    picked = {name: content[column] for name, column in columns.items()}
    return Bunch(**picked, DESCR=inspect.getdoc(loader).partition("\n\nReturns")[0])
