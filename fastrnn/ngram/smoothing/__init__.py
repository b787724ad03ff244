"""Smoothing: from counts to probabilities. Each method is one function, with its reference."""

from typing import NamedTuple

from fastrnn.ngram.smoothing.estimates import Estimates, Settings
from fastrnn.ngram.smoothing.frequencies import additive, stupid_backoff
from fastrnn.ngram.smoothing.interpolation import absolute_discount, kneser_ney, modified_kneser_ney, witten_bell
from fastrnn.ngram.smoothing.jelinek_mercer import jelinek_mercer
from fastrnn.ngram.smoothing.katz import katz

__all__ = ["SMOOTHINGS", "Estimates", "Settings", "Smoothing"]


class Smoothing(NamedTuple):
    """A method of smoothing, and the kinds of pruning that it allows."""

    estimate: object  # NGramCounts, Settings -> Estimates
    prune: bool = True  # whether the probability of pruned n-grams can go to other words
    prune_entropy: bool = True  # whether probabilities back off from a context to a shorter one


SMOOTHINGS = {
    "modified_kneser_ney": Smoothing(modified_kneser_ney),
    "kneser_ney": Smoothing(kneser_ney),
    "absolute_discount": Smoothing(absolute_discount),
    "witten_bell": Smoothing(witten_bell),
    "jelinek_mercer": Smoothing(jelinek_mercer),
    "katz": Smoothing(katz),
    "stupid_backoff": Smoothing(stupid_backoff, prune_entropy=False),
    "add_k": Smoothing(lambda counts, settings: additive(counts, settings, settings.k), False, False),
    "laplace": Smoothing(lambda counts, settings: additive(counts, settings, 1.0), False, False),
    "mle": Smoothing(lambda counts, settings: additive(counts, settings, 0.0), False, False),
}
