"""Data sets of pairs of sequences: dates, spelling and sound, English and French."""

import re
import zlib

from sklearn.utils import Bunch

from fastrnn.datasets._folder import ORIGIN, find
from fastrnn.text.reading import open_lines
from fastrnn.utils.checks import check_choice

# Names of the files of the shared task by language.
_G2P = {"english": "eng_us", "french": "fre", "greek": "gre", "hungarian": "hun", "italian": "ita",
        "japanese": "jpn_hira"}  # fmt: skip
_N_TRAIN_DATES = 45_000
_PARTS = ("train", "dev", "test")


def load_dates():
    """Load 50,000 dates as people write them, and in the form of ISO 8601.

    "september 27, 1994" stands beside "1994-09-27". The pairs come from the book *Deep Learning from Scratch 2* (Saitoh
    2018).

    Returns
    -------
    sklearn.utils.Bunch
        ``train``, ``test``: the first 45,000 pairs and the last 5,000, each a Bunch with ``data``, list of str, and
        ``target``, list of str; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    lines = list(open_lines(find("dates/dates.txt")))
    data, _, target = zip(*(line.partition("_") for line in lines), strict=True)
    data, target = ([text.strip() for text in texts] for texts in (data, target))
    parts = {"train": slice(_N_TRAIN_DATES), "test": slice(_N_TRAIN_DATES, None)}
    return _bunch(load_dates, {part: Bunch(data=data[rows], target=target[rows]) for part, rows in parts.items()})


def load_g2p(language="english"):
    """Load spellings of words and their pronunciations: the shared task of SIGMORPHON 2021 (Ashby et al. 2021).

    Parameters
    ----------
    language : {"english", "french", "greek", "hungarian", "italian", "japanese"}, default="english"
        English is the task with 41,680 words, French, Hungarian and Japanese (in hiragana) have 10,000, Greek and
        Italian 1,000.

    Returns
    -------
    sklearn.utils.Bunch
        ``train``, ``dev``, ``test``: the given split, 80, 10 and 10 %, each a Bunch with ``data``, list of str, the
        spellings, and ``target``, lists of str, the phones of each word; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.

    Notes
    -----
    The task compares systems by the share of words with a wrong pronunciation, which it calls word error rate:
    1 - `fastrnn.metrics.exact_match`.
    """
    check_choice("language", language, _G2P)
    return _bunch(load_g2p, {part: _pronunciations(f"{_G2P[language]}_{part}") for part in _PARTS})


def _pronunciations(stem):
    rows = [line.partition("\t") for line in open_lines(find(f"sigmorphon2021_g2p/{stem}.tsv")) if line.strip()]
    return Bunch(data=[word for word, _, _ in rows], target=[phones.split() for _, _, phones in rows])


def load_eng_fra():
    """Load 5,000 pairs of a short English sentence and its French translation, from Tatoeba.

    An English sentence may have several translations. It is in one part only, with all of them, and so are sentences
    that differ in case or punctuation alone.

    Returns
    -------
    sklearn.utils.Bunch
        ``train``, ``dev``, ``test``: about 80, 10 and 10 % of the English sentences, the same ones at each call. Each
        is a Bunch with ``data`` and ``target``, lists of str, the sentences of each pair; ``sentences``, list of str,
        the distinct English sentences; ``references``, lists of str, all translations of each of these, as
        `fastrnn.metrics.bleu` and `fastrnn.metrics.exact_match` take them; ``attribution``, list of str, the authors of
        each pair. ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    pairs = {part: [] for part in _PARTS}
    for line in open_lines(find("eng_fra/eng-fra.txt")):
        english, french, attribution = line.split("\t")
        pairs[_part_of(english)].append((english, french, attribution))
    return _bunch(load_eng_fra, {part: _translations(rows) for part, rows in pairs.items()})


def _part_of(text):
    """Return the part that a text is in: a function of its words alone."""
    tenth = zlib.crc32(" ".join(re.findall(r"\w+", text.lower())).encode()) % 10
    return "test" if tenth == 0 else "dev" if tenth == 1 else "train"


def _translations(rows):
    references = {}
    for english, french, _ in rows:
        references.setdefault(english, []).append(french)
    data, target, attribution = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return Bunch(
        data=data,
        target=target,
        sentences=list(references),
        references=list(references.values()),
        attribution=attribution,
    )


def _bunch(loader, parts):
    return Bunch(**parts, DESCR=f"{loader.__doc__.strip().splitlines()[0]}\n\n{ORIGIN}")
