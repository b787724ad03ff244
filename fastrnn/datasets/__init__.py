"""Data sets: each has a function that returns it as a ``sklearn.utils.Bunch``."""

from fastrnn.datasets.classification import (
    load_glove,
    load_japanese_vowels,
    load_movie_review_sentences,
    load_movie_reviews,
    load_names,
    load_promoters,
    load_splice,
    load_subjectivity,
    load_ucr,
)
from fastrnn.datasets.minimal_pairs import load_blimp, load_marvin_linzen
from fastrnn.datasets.python_docs import load_python_docs
from fastrnn.datasets.tagging import load_btc, load_ud_ewt
from fastrnn.datasets.translation import load_dates, load_eng_fra, load_g2p

__all__ = [
    "load_blimp",
    "load_btc",
    "load_dates",
    "load_eng_fra",
    "load_g2p",
    "load_glove",
    "load_japanese_vowels",
    "load_marvin_linzen",
    "load_movie_review_sentences",
    "load_movie_reviews",
    "load_names",
    "load_promoters",
    "load_python_docs",
    "load_splice",
    "load_subjectivity",
    "load_ucr",
    "load_ud_ewt",
]
