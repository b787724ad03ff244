"""Arguments and results of the methods of estimation."""

import logging
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.workspace import Workspace
from fastrnn.utils.checks import warn_caller

_LOGGER = logging.getLogger("fastrnn.ngram")


class Settings(NamedTuple):
    """Parameters of a method, besides the counts."""

    n_predictable: int  # how many words can come next, those included that stand for `vocab_pad`
    kept: np.ndarray  # bool (n,): the n-grams that are not pruned, closed under contexts and suffixes
    discount_fallback: bool
    k: float  # what "add_k" adds
    heldout: object  # a function that returns the counts without a part of the text, and that part
    workspace: Workspace


class Estimates(NamedTuple):
    """Probabilities of n n-grams, m of them below the highest order; those of pruned ones mean nothing.

    With h' the context h without its first word,

        p(w | h) = probabilities[node of hw]      if hw is an n-gram of the model,
                   backoffs[node of h] p(w | h')  otherwise; without the factor if h is no n-gram of the model.

    The distribution that all this ends in is the one of the unigrams, where no word is without a node.
    """

    probabilities: np.ndarray  # float32 or float64 (n,)
    backoffs: np.ndarray  # float32 or float64 (m,)
    discounts: np.ndarray | None = None  # float64 (order, 1 or more), where the method has some
    weights: np.ndarray | None = None  # float64 (order, 16), where the method has some


@kernel
def count_counts(
    counts,  # int32 (n,)
    numbers,  # int64 (r,): zeros on entry; how many n-grams have the count 0, 1, ..., r - 1 or more
):
    """Count how many n-grams appear so often."""
    for count in counts:
        numbers[min(count, len(numbers) - 1)] += 1


def report_fallback(what, failed, used, fallback):
    """Say that for some orders something could not be estimated, in an error if there shall be no fallback.

    Parameters
    ----------
    what : str
        What could not be estimated.
    failed : list of int
        The orders.
    used : str
        What is used instead.
    fallback : bool
        Whether that is allowed.
    """
    if not failed:
        return
    orders = ", ".join(map(str, failed))
    problem = f"The {what} of order {orders} cannot be estimated: too few n-grams appear once to a few times"
    if not fallback:
        raise ValueError(f"{problem}; allow discount_fallback, lower the order or give more text.")
    if failed == [1]:  # characters, like any closed vocabulary, have no rare unigrams; it matters little
        _LOGGER.info("%s; %s.", problem, used)
    else:
        warn_caller(f"{problem}; {used}.")
