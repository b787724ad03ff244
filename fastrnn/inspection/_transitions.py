"""The weights of transitions between the labels of a CRF."""

from typing import NamedTuple

import numpy as np

from fastrnn.inspection._display import Display, set_title
from fastrnn.inspection._inputs import last_step
from fastrnn.inspection._matrix import draw_matrix
from fastrnn.inspection._taggers import last_tagger
from fastrnn.utils.html import table
from fastrnn.utils.tables import text_table
from fastrnn.utils.use import reads

_START, _END = "(start)", "(end)"


class Transitions(NamedTuple):
    """Result of `transitions`. ``print`` and a notebook show the weights as a table.

    A weight of -inf stands for a transition that the scheme of the labels rules out.

    Attributes
    ----------
    labels : list (K,)
        The labels between which the model tells; of the scheme that it learns, where that is not the scheme of y.
    weights : float64 array (K, K)
        ``weights[i, j]``: from label i to label j. A label after itself is a transition too.
    start, end : float64 array (K,)
        The weights of each label at the begin and at the end of a sequence. Those of a `CRFTagger` are 0: attributes
        tell where a sequence begins.
    """

    labels: list
    weights: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def matrix(self):
        """Return all weights as one matrix with the start as its last row and the end as its last column.

        Returns
        -------
        matrix : float64 array (K + 1, K + 1)
            NaN from start to end.
        rows, columns : list of str
            Their names.
        """
        names = list(map(str, self.labels))
        below = np.append(self.start, np.nan)
        return np.vstack([np.column_stack([self.weights, self.end]), below]), [*names, _START], [*names, _END]

    def _table(self):
        matrix, rows, columns = self.matrix()
        body = [[row, *("" if np.isnan(value) else f"{value:.2f}" for value in values)]
                for row, values in zip(rows, matrix, strict=True)]  # fmt: skip
        return [["from \\ to", *columns], *body]

    def __str__(self):
        return text_table(self._table())

    def _repr_html_(self):
        return table(self._table())

    def plot(self, ax=None, **kwargs):
        """Draw the weights; see `TransitionsDisplay`."""
        return TransitionsDisplay(self).plot(ax, **kwargs)


@reads
def transitions(model):
    """Return the weights of the transitions between labels that a tagger has learned.

    Parameters
    ----------
    model : CRFTagger, RNNTagger with output="crf", or a pipeline or search that ends in one
        Fitted.

    Returns
    -------
    Transitions

    Raises
    ------
    ValueError
        The model has no CRF.

    Examples
    --------
    >>> from fastrnn import CRFTagger
    >>> from fastrnn.inspection import transitions
    >>> X, y = [["the", "dog"], ["a", "cat"]], [["DET", "NOUN"], ["DET", "NOUN"]]
    >>> result = transitions(CRFTagger().fit(X, y))
    >>> result.labels, bool(result.weights[0, 1] > result.weights[1, 0])
    (['DET', 'NOUN'], True)
    """
    tagger = last_tagger(model)
    found = transition_weights(tagger)
    if found is None:
        raise ValueError("model must have a CRF, output='crf': a softmax has no transitions.")
    start, weights, end = found
    return Transitions(list(tagger._target.inner), weights, start, end)


def transition_weights(tagger):
    """Return the weights of begins (K,), transitions (K, K) and ends (K,) of a tagger; None if it has no CRF."""
    if not hasattr(tagger, "network_"):
        weights = tagger.transitions_
        found = np.zeros(len(weights)), weights, np.zeros(len(weights))
    else:
        arrays = tagger.network_.get_arrays()
        if "crf.transitions" not in arrays:
            return None
        found = [arrays[f"crf.{name}"] for name in ("start_transitions", "transitions", "end_transitions")]
    allowed = tagger._target.allowed()
    if allowed is None:
        return tuple(part.astype(np.float64) for part in found)
    return tuple(np.where(may, part, -np.inf) for may, part in zip(allowed, found, strict=True))


class TransitionsDisplay(Display):
    """Image of the weights of transitions: from the labels of the rows to those of the columns.

    Transitions that are ruled out have no colour.

    Parameters
    ----------
    result : Transitions
    name : str, default=""
        The model's name in the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs):
        """Draw the weights of a tagger's transitions.

        Parameters
        ----------
        estimator
            As in `transitions`.
        name : str or None, default=None
            The model's name in the title; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``imshow``.

        Returns
        -------
        TransitionsDisplay
        """
        name = type(last_step(estimator)[0]).__name__ if name is None else name
        return cls(transitions(estimator), name).plot(ax, **kwargs)

    def _draw(self, ax, **kwargs):
        matrix, rows, columns = self.result.matrix()
        ax, self.image_ = draw_matrix(ax, matrix, rows, columns, label="weight", form="{:.1f}", signed=True, **kwargs)
        ax.set(xlabel="to", ylabel="from")
        set_title(ax, self.name)
        return ax
