"""Arguments and results of the methods of smoothing."""

import logging
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.workspace import Workspace
from fastrnn.utils.checks import warn_caller

_LOGGER = logging.getLogger("fastrnn.ngram")


class Settings(NamedTuple):
    """The parameters of a method besides the counts."""

    n_predictable: int  # how many words can come next, padding by `vocab_pad` included
    kept: np.ndarray  # bool (n,): the n-grams that are not pruned, closed under contexts and suffixes
    discount_fallback: bool
    k: float  # added to each count by "add_k"
    heldout: object  # callable () -> (counts without a part of the text, that part)
    workspace: Workspace


class Estimates(NamedTuple):
    """Probabilities of n n-grams, m of them below the highest order; those of pruned n-grams are undefined.

    With h' the context h without its first word,

        p(w | h) = probabilities[node of hw]      if hw is an n-gram of the model,
                   backoffs[node of h] p(w | h')  otherwise; without the factor if h is not an n-gram of the model.

    This ends at the unigrams: every word has a node there.
    """

    probabilities: np.ndarray  # float32 or float64 (n,)
    backoffs: np.ndarray  # float32 or float64 (m,)
    discounts: np.ndarray | None = None  # float64 (order, 1 or more), if the method has discounts
    weights: np.ndarray | None = None  # float64 (order, 16), if the method has weights


@kernel
def count_counts(
    counts,  # int32 (n,)
    numbers,  # int64 (r,): zeros on entry; output, the numbers of n-grams with the counts 0, 1, ..., r - 1 or more
):
    """Count the n-grams of each count."""
    for count in counts:
        numbers[min(count, len(numbers) - 1)] += 1


def report_fallback(parameters, failed, used, fallback):
    """Warn that the parameters of some orders cannot be estimated; raise ValueError without a fallback.

    Parameters
    ----------
    parameters : str
        Their name, for the message.
    failed : list of int
        The orders.
    used : str
        The replacement, for the message.
    fallback : bool
        Whether that is allowed.
    """
    if not failed:
        return
    orders = ", ".join(map(str, failed))
    problem = f"The {parameters} of order {orders} cannot be estimated: too few n-grams appear once to a few times"
    if not fallback:
        raise ValueError(f"{problem}; allow discount_fallback, lower the order or give more text.")
    if failed == [1]:  # characters, like any closed vocabulary, have no rare unigrams: this matters little
        _LOGGER.info("%s; %s.", problem, used)
    else:
        warn_caller(f"{problem}; {used}.")
