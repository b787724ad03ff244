"""Minimal pairs: which of two sentences a language model finds more probable."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.inspection._display import Display, draw_lines, draw_reference, finish, new_axes
from fastrnn.text.tokens import UNK_ID
from fastrnn.utils.checks import check_choice
from fastrnn.utils.use import reads


class MinimalPairs(NamedTuple):
    """Result of `minimal_pairs`.

    Attributes
    ----------
    accuracy : float
        Share of the pairs whose good sentence is more probable; a tie does not count. NaN without a pair.
    n_pairs : int
        The pairs that were judged.
    n_ties : int
        How many of them have two sentences of the same probability: unknown words where they differ, mostly.
    n_excluded : int
        The pairs that were left out, see `oov`.
    groups : tuple of str
        The groups in their order of appearance.
    group_accuracies : float64 array (n_groups,)
    group_counts, group_ties : int array (n_groups,)
        Number of judged pairs, and of ties.
    good_scores, bad_scores : float64 array (n,)
        Log likelihoods of the sentences of all pairs, including those that were left out.
    """

    accuracy: float
    n_pairs: int
    n_ties: int
    n_excluded: int
    groups: tuple
    group_accuracies: np.ndarray
    group_counts: np.ndarray
    group_ties: np.ndarray
    good_scores: np.ndarray
    bad_scores: np.ndarray


@reads
def minimal_pairs(model, good, bad, groups=None, oov="include"):
    """Return how often a language model finds the good one of two sentences more probable.

    The sentences of a pair differ only in the tested property: "the keys are here" and "the keys is here". Each is
    scored on its own, whatever the model's `carry_state`.

    Parameters
    ----------
    model : language model
        A fitted model of any kind.
    good, bad : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
        The sentences, as many good ones as bad ones.
    groups : sequence of str or None
        The group of each pair; None puts all into one group.
    oov : {"include", "exclude"}
        Whether pairs with a token out of the vocabulary are judged.

    Returns
    -------
    MinimalPairs

    References
    ----------
    Tal Linzen, Emmanuel Dupoux and Yoav Goldberg, "Assessing the ability of LSTMs to learn syntax-sensitive
    dependencies", 2016; Rebecca Marvin and Tal Linzen, "Targeted syntactic evaluation of language models", 2018.

    Examples
    --------
    >>> from fastrnn import NGramLanguageModel
    >>> from fastrnn.inspection import minimal_pairs
    >>> model = NGramLanguageModel(2, smoothing="add_k", k=0.1).fit(["the keys are here", "the key is here"])
    >>> good, bad = ["the keys are here", "the locks are here"], ["the keys is here", "the locks is here"]
    >>> result = minimal_pairs(model, good, bad, groups=["known", "unknown"])
    >>> result.accuracy, result.n_ties, result.groups, result.group_accuracies.tolist()
    (0.5, 1, ('known', 'unknown'), [1.0, 0.0])
    """
    check_is_fitted(model)
    check_choice("oov", oov, ("include", "exclude"))
    (good, good_known), (bad, bad_known) = (_score(model, sentences) for sentences in (good, bad))
    if len(good) != len(bad):
        raise ValueError(f"good and bad must be as many sentences, got {len(good)} and {len(bad)}.")
    groups = ["all pairs"] * len(good) if groups is None else [str(group) for group in groups]
    if len(groups) != len(good):
        raise ValueError(f"groups must be {len(good)}, one a pair, got {len(groups)}.")
    names = tuple(dict.fromkeys(groups))
    place = np.array([names.index(group) for group in groups], np.intp)
    judged = np.ones(len(good), bool) if oov == "include" else good_known & bad_known
    counts, ties, right = (
        np.bincount(place[judged & which], minlength=len(names)) for which in (judged, good == bad, good > bad)
    )
    with np.errstate(invalid="ignore"):  # a group without a pair
        accuracies = right / counts
    n_pairs = int(counts.sum())
    accuracy = float(right.sum() / n_pairs) if n_pairs else np.nan
    return MinimalPairs(
        accuracy, n_pairs, int(ties.sum()), len(good) - n_pairs, names, accuracies, counts, ties, good, bad
    )


def _score(model, sentences):
    """Return the log likelihood of each sentence by itself (n,), and whether all its tokens are known (n,)."""
    ids, offsets, log_probs = model._score_tokens(sentences, independent=True)
    return np.add.reduceat(log_probs, offsets[:-1]), ~np.logical_or.reduceat(ids == UNK_ID, offsets[:-1])


class MinimalPairsDisplay(Display):
    """Chart of the share of minimal pairs that a model judges right, group by group.

    Parameters
    ----------
    result : MinimalPairs
    name : str
        The model's name in the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        A point for each group.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, good, bad, groups=None, *, oov="include", name=None, ax=None, **kwargs):
        """Judge pairs with a model and draw how often it is right.

        Parameters
        ----------
        estimator, good, bad, groups, oov
            As in `minimal_pairs`.
        name : str or None, default=None
            The model's name in the legend; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure. Several models with the same groups can share one.
        **kwargs
            Options of matplotlib's ``plot``.

        Returns
        -------
        MinimalPairsDisplay
        """
        result = minimal_pairs(estimator, good, bad, groups, oov)
        return cls(result, type(estimator).__name__ if name is None else name).plot(ax, **kwargs)

    def _draw(self, ax, **kwargs):
        result, places = self.result, np.arange(len(self.result.groups))
        ax = new_axes(ax, figsize=(6.4, 1.2 + 0.25 * len(places)))
        label = f"{self.name}: {result.accuracy:.1%} of {result.n_pairs:,}"
        points = (result.group_accuracies, places, {"linestyle": "none", "marker": "o", "label": label})
        (self.line_,) = draw_lines(ax, [points], kwargs)
        if draw_reference(ax, "chance", ax.axvline, 0.5):
            ax.invert_yaxis()
        ax.set_yticks(places, result.groups, parse_math=False)
        ax.set_xlim(-0.02, 1.02)
        finish(ax, "share of pairs judged right", grid="x")
        return ax
