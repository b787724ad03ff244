"""Data sets of sentences with a tag for each token."""

from sklearn.utils import Bunch

from fastrnn.datasets._folder import ORIGIN, find
from fastrnn.text.columns import read_columns
from fastrnn.text.reading import open_lines

_PARTS = ("train", "dev", "test")


def load_btc():
    """Load 9,340 tweets with persons, places and organisations: the Broad Twitter Corpus (Derczynski et al. 2016).

    Returns
    -------
    sklearn.utils.Bunch
        ``train``, ``dev``, ``test``: the 6,338, 1,001 and 2,001 tweets of the given split, each a Bunch with ``data``,
        lists of tokens, and ``target``, lists of tags in the scheme "iob2"; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    return _split({part: f"btc/btc.{part}" for part in _PARTS}, load_btc)


def load_ud_ewt():
    """Load 16,622 sentences from the English web with parts of speech: UD English EWT (Silveira et al. 2014).

    Returns
    -------
    sklearn.utils.Bunch
        ``train``, ``dev``, ``test``: the 12,544, 2,001 and 2,077 sentences of the given split, each a Bunch with
        ``data``, lists of tokens; ``target``, lists of universal parts of speech (UPOS); ``xpos``, lists of those of
        the Penn Treebank; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    return _split({part: f"ud_ewt/{part}.pos" for part in _PARTS}, load_ud_ewt, target=1, xpos=2)


def _split(files, loader, **columns):
    """Return the parts of a data set; `columns` are those of tags, by default the last one as target."""
    parts = {}
    for part, name in files.items():
        path = find(name)
        table = read_columns(str(path), open_lines(path))
        tags = {key: table.tags(column) for key, column in (columns or {"target": -1}).items()}
        parts[part] = Bunch(data=table.tokens(), **tags)
    return Bunch(**parts, DESCR=f"{loader.__doc__.strip().splitlines()[0]}\n\n{ORIGIN}")
