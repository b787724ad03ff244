"""Data sets of sentences, documents, series and sequences with labels."""

import numpy as np
from sklearn.utils import Bunch

from fastrnn.datasets._folder import ORIGIN, find
from fastrnn.text.delimited import DelimitedReader
from fastrnn.text.reading import open_lines
from fastrnn.utils.checks import check_choice

UCR = ("ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "OSULeaf")
LANGUAGES = ("Arabic Chinese Czech Dutch English French German Greek Irish Italian Japanese Korean Polish Portuguese "
             "Russian Scottish Spanish Vietnamese").split()  # fmt: skip


def load_movie_review_sentences():
    """Load 10,662 sentences of movie reviews, half of them positive (Pang and Lee 2005), known as MR.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str; ``target``: array of "neg" and "pos"; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    return _two_files("mr", {"neg": "rt-polarity.neg", "pos": "rt-polarity.pos"}, load_movie_review_sentences)


def load_subjectivity():
    """Load 10,000 sentences, half of them subjective (Pang and Lee 2004).

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str; ``target``: array of "objective" and "subjective"; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    files = {"objective": "plot.tok.gt9.5000", "subjective": "quote.tok.gt9.5000"}
    return _two_files("subjectivity", files, load_subjectivity)


def _two_files(folder, files, loader):
    data, target = [], []
    for label, name in files.items():
        lines = list(open_lines(find(f"{folder}/{name}"), encoding="latin-1"))
        data += lines
        target += [label] * len(lines)
    return _bunch(loader, data=data, target=np.array(target))


def load_movie_reviews():
    """Load 2,000 whole movie reviews, half of them positive (Pang and Lee 2004), with the folds of their paper.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str; ``target``: array of "neg" and "pos"; ``fold``: array of 0 to 9; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    lines = open_lines(find("movie_reviews/movie_reviews.tsv"))
    labels, numbers, data = zip(*(line.split("\t", 2) for line in lines), strict=True)
    fold = np.array([int(number[-1]) for number in numbers])
    return _bunch(load_movie_reviews, data=list(data), target=np.array(labels), fold=fold)


def load_japanese_vowels(subset="train"):
    """Load series of 12 coefficients, 7 to 29 steps long, of 9 speakers of two Japanese vowels (Kudo et al. 1999).

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        The 270 series for training, or the 370 for testing.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of array (T_i, 12); ``target``: array of "1" to "9"; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    return _series("japanesevowels/JapaneseVowels", subset, load_japanese_vowels)


def load_ucr(name, subset="train"):
    """Load one of the data sets of the UCR and UEA archives of time series classification (Bagnall et al. 2018).

    Parameters
    ----------
    name : {"ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "OSULeaf"}
    subset : {"train", "test"}, default="train"

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of array (T, D); ``target``: array of str; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    check_choice("name", name, UCR)
    return _series(f"ucr/{name}", subset, load_ucr)


def _series(stem, subset, loader):
    check_choice("subset", subset, ("train", "test"))
    data, target = read_ts(find(f"{stem}_{subset.upper()}.ts"))
    return _bunch(loader, data=data, target=target)


def read_ts(path):
    """Read a file of labelled series in the ``.ts`` format.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    data : list of float64 array (T_i, D)
    target : array (n,) of str

    Raises
    ------
    ValueError
        A line holds no series: the message names the line.
    """
    data, target, in_data = [], [], False
    for number, line in enumerate(open_lines(path, errors="replace"), start=1):
        line = line.strip()
        if in_data and line:
            *dimensions, label = line.split(":")
            try:
                series = np.array([np.array(values.split(","), float) for values in dimensions])
            except ValueError:
                series = np.empty(0)
            if series.ndim != 2:
                raise ValueError(f"{path}, line {number}: expected numbers, dimensions of one length and a label.")
            data.append(np.ascontiguousarray(series.T))
            target.append(label)
        in_data = in_data or line.lower() == "@data"
    return data, np.array(target)


def load_splice():
    """Load 3,190 pieces of 60 nucleotides: exon-intron boundaries (EI), intron-exon ones (IE) or none (N); UCI.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str; ``target``: array of "EI", "IE" and "N"; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    rows = _read_csv("dna/splice.csv")[1:]
    return _bunch(load_splice, data=[row[2] for row in rows], target=np.array([row[0] for row in rows]))


def load_promoters():
    """Load 106 pieces of 57 nucleotides of E. coli, half of them promoters ("+"); UCI.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str; ``target``: array of "+" and "-"; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    rows = _read_csv("dna/promoters.data")
    return _bunch(load_promoters, data=[row[2] for row in rows], target=np.array([row[0] for row in rows]))


def _read_csv(name):
    """Return the rows of a table as lists of str, without white space around the fields."""
    rows = DelimitedReader(open_lines(find(name)), ",")
    return [[field.strip() for field in fields] for _, fields in rows]


def load_names():
    """Load about 20,050 surnames of 18 languages.

    Returns
    -------
    sklearn.utils.Bunch
        ``data``: list of str; ``target``: array of str, the languages; ``DESCR``.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    data, target = [], []
    for language in LANGUAGES:
        names = [name.strip() for name in open_lines(find(f"names/{language}.txt")) if name.strip()]
        data += names
        target += [language] * len(names)
    return _bunch(load_names, data=data, target=np.array(target))


def load_glove():
    """Load 38,394 word vectors of 50 dimensions (Pennington et al. 2014), the words of English data sets.

    Returns
    -------
    sklearn.utils.Bunch
        ``words``: list of str; ``vectors``: float32 array (n, 50); ``DESCR``. Estimators take ``(words, vectors)`` as
        `embedding`.

    Raises
    ------
    OSError
        The data are missing: the message says what to do.
    """
    words = list(open_lines(find("glove50d/glove50d_subset.words.txt")))
    vectors = np.load(find("glove50d/glove50d_subset.float32.npy"))
    return _bunch(load_glove, words=words[: len(vectors)], vectors=vectors)


def _bunch(loader, **content):
    description = loader.__doc__.strip().split("\n")[0]
    return Bunch(**content, DESCR=f"{description}\n\n{ORIGIN}")
