"""The attributes that speak most for a label, and against it."""

from typing import NamedTuple

import numpy as np

from fastrnn.inspection._coloured_text import printable
from fastrnn.inspection._display import Display, draw_bars, set_title
from fastrnn.inspection._inputs import last_step
from fastrnn.inspection._taggers import number_of
from fastrnn.tagging import CRFTagger
from fastrnn.utils.checks import check_positive_integer
from fastrnn.utils.html import table
from fastrnn.utils.use import reads


class FeatureWeights(NamedTuple):
    """Result of `feature_weights`. ``print`` and a notebook show it as a table.

    Attributes
    ----------
    label : object
    names : list of str
        The attributes with the largest weights, then those with the smallest.
    weights : float64 array
        Their weights for the label, descending.
    """

    label: object
    names: list
    weights: np.ndarray

    def _rows(self):
        return [(printable(name), f"{weight:+.3f}") for name, weight in zip(self.names, self.weights, strict=True)]

    def __str__(self):
        rows = self._rows()
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join([f"{self.label}", *(f"{name:<{width}} {weight}" for name, weight in rows)])

    def _repr_html_(self):
        return table([["attribute", "weight"], *map(list, self._rows())], str(self.label))

    def plot(self, ax=None, **kwargs):
        """Draw the weights as bars; see `FeatureWeightsDisplay`."""
        return FeatureWeightsDisplay(self).plot(ax, **kwargs)


@reads
def feature_weights(model, label, n=10):
    """Return the attributes that speak most for a label of a `CRFTagger`, and those that speak most against it.

    Parameters
    ----------
    model : CRFTagger, or a pipeline or search that ends in one
        Fitted.
    label : object
        One of ``inner_classes_``.
    n : int, default=10
        Most attributes with weights above 0, and most with weights below.

    Returns
    -------
    FeatureWeights

    See Also
    --------
    fastrnn.CRFTagger.top_features : The largest weights of all labels.

    Examples
    --------
    >>> from fastrnn import CRFTagger
    >>> from fastrnn.inspection import feature_weights
    >>> model = CRFTagger().fit([[["cold"], ["warm"], ["hot", "cold"]]], [["winter", "summer", "summer"]])
    >>> feature_weights(model, "summer", n=1).names
    ['hot', 'cold']
    """
    model, _ = last_step(model)
    if not isinstance(model, CRFTagger):
        raise TypeError(f"model must be a CRFTagger, got {type(model).__name__}.")
    check_positive_integer("n", n)
    number = number_of(label, model.inner_classes_.tolist(), "label")
    attributes, owners, weights = model._weights.pairs()
    own = owners == number
    attributes, weights = attributes[own], weights[own]
    order = np.argsort(-weights, kind="stable")
    chosen = [*order[:n][weights[order[:n]] > 0], *order[-n:][weights[order[-n:]] < 0]]
    names = model._reader.attributes
    return FeatureWeights(label, [names[place] for place in attributes[chosen]], weights[chosen])


class FeatureWeightsDisplay(Display):
    """Bars of the attributes that speak most for a label, and against it.

    Parameters
    ----------
    result : FeatureWeights
    name : str, default=""
        The model's name in the title.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, label, *, n=10, name=None, ax=None, **kwargs):
        """Draw the weights of a label.

        Parameters
        ----------
        estimator, label, n
            As in `feature_weights`.
        name : str or None, default=None
            The model's name in the title; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``barh``.

        Returns
        -------
        FeatureWeightsDisplay
        """
        name = type(last_step(estimator)[0]).__name__ if name is None else name
        return cls(feature_weights(estimator, label, n), name).plot(ax, **kwargs)

    def _draw(self, ax, **kwargs):
        ax, self.bars_ = draw_bars(ax, self.result.names, self.result.weights, "weight", **kwargs)
        set_title(ax, ", ".join(filter(None, [self.name, str(self.result.label)])))
        return ax
