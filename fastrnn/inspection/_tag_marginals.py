"""The probabilities of the labels of one sequence."""

from typing import NamedTuple

import numpy as np

from fastrnn.inspection._coloured_text import printable
from fastrnn.inspection._display import Display, set_title
from fastrnn.inspection._matrix import draw_matrix
from fastrnn.inspection._taggers import read_sequence
from fastrnn.utils.checks import check_fraction
from fastrnn.utils.html import coloured_text
from fastrnn.utils.use import reads

_LISTED = 3  # labels of an element in a table, or in a tip


class TagMarginals(NamedTuple):
    """Result of `tag_marginals`.

    ``print`` shows the most probable labels of each element. A notebook shows the sequence with its labels: the redder,
    the less sure is the label.

    Attributes
    ----------
    tokens : list of str or None
        The tokens; None for the steps of a series, and for elements that are attributes.
    labels : list (T,)
        The predicted labels.
    classes : ndarray (K,)
        All labels.
    probabilities : float64 array (T, K)
        The probability of each label at each element; with a CRF, the sum over all sequences of labels.
    """

    tokens: list | None
    labels: list
    classes: np.ndarray
    probabilities: np.ndarray

    @property
    def confidence(self):
        """The probability of the predicted label of each element, float64 (T,)."""
        place = {label: number for number, label in enumerate(self.classes.tolist())}
        return self.probabilities[np.arange(len(self.labels)), [place[label] for label in self.labels]]

    def _names(self):
        """Return the names of the elements."""
        return list(map(str, range(len(self.labels)))) if self.tokens is None else list(map(printable, self.tokens))

    def _most_probable(self):
        """Return the most probable labels of each element with their probabilities, as str."""
        for row in self.probabilities:
            places = np.argsort(-row, kind="stable")[:_LISTED]
            yield ", ".join(f"{self.classes[place]} {row[place]:.3f}" for place in places)

    def __str__(self):
        names, labels = self._names(), list(map(str, self.labels))
        widths = [max(map(len, column), default=0) for column in (names, labels)]
        rows = zip(names, labels, self._most_probable(), strict=True)
        return "\n".join(f"{name:<{widths[0]}}  {label:<{widths[1]}}  {listed}" for name, label, listed in rows)

    def _repr_html_(self):
        words = [
            name if label == "O" else f"{name}/{label}" for name, label in zip(self._names(), self.labels, strict=True)
        ]
        n, confidence = len(words), self.confidence
        title = f"{n} elements, the least sure label has {confidence.min():.3f}" if n else "no elements"
        return coloured_text(words, confidence - 1, list(self._most_probable()), title)

    def plot(self, ax=None, **kwargs):
        """Draw the probabilities; see `TagMarginalsDisplay.plot`."""
        return TagMarginalsDisplay(self).plot(ax, **kwargs)


@reads
def tag_marginals(model, sequence):
    """Return the probability of every label at each element of one sequence.

    Parameters
    ----------
    model : CRFTagger or RNNTagger, or a pipeline or search that ends in one
        Fitted.
    sequence : list of tokens, array (T, D), list of dict, str, ...
        One sequence or text, as the model reads it, or as the pipeline does.

    Returns
    -------
    TagMarginals

    Examples
    --------
    >>> from fastrnn import RNNTagger
    >>> from fastrnn.inspection import tag_marginals
    >>> X, y = [["the", "dog", "barks"], ["a", "cat"]] * 10, [["DET", "NOUN", "VERB"], ["DET", "NOUN"]] * 10
    >>> model = RNNTagger(hidden_size=8, random_state=0).fit(X, y)
    >>> result = tag_marginals(model, ["the", "cat", "barks"])
    >>> result.labels, result.probabilities.shape
    (['DET', 'NOUN', 'VERB'], (3, 3))
    """
    read = read_sequence(model, sequence)
    return TagMarginals(read.tokens, read.labels, read.model.classes_, read.model.predict_proba(read.X)[0])


class TagMarginalsDisplay(Display):
    """Image of the probabilities of labels (rows) at the elements of a sequence (columns).

    Parameters
    ----------
    result : TagMarginals
    name : str, default=""
        The model's name in the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
    line_ : matplotlib Line2D
        The points that mark the predicted labels.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, sequence, *, name=None, ax=None, **kwargs):
        """Compute the probabilities of a tagger for one sequence, and draw them.

        Parameters
        ----------
        estimator, sequence
            As in `tag_marginals`.
        name : str or None, default=None
            The model's name in the title; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of `plot`.

        Returns
        -------
        TagMarginalsDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls(tag_marginals(estimator, sequence), name).plot(ax, **kwargs)

    def plot(self, ax=None, *, threshold=0.01, **kwargs):
        """Draw the probabilities, with a point at each predicted label.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        threshold : float, default=0.01
            Labels that have at no element a larger probability are left out, unless they are predicted.
        **kwargs
            Options of matplotlib's ``imshow``.

        Returns
        -------
        TagMarginalsDisplay
        """
        check_fraction("threshold", threshold)
        return super().plot(ax, threshold=threshold, **kwargs)

    def _draw(self, ax, threshold, **kwargs):
        result = self.result
        predicted = {label: None for label in result.labels}
        kept = [place for place, label in enumerate(result.classes.tolist())
                if label in predicted or result.probabilities[:, place].max(initial=0) > threshold]  # fmt: skip
        labels = result.classes[kept].tolist()
        ax, self.image_ = draw_matrix(ax, result.probabilities[:, kept].T, list(map(str, labels)), result.tokens,
                                      label="probability", **{"vmax": 1, **kwargs})  # fmt: skip
        places = {label: row for row, label in enumerate(labels)}
        rows = [places[label] for label in result.labels]
        (self.line_,) = ax.plot(np.arange(len(rows)), rows, "o", color="tab:orange", markersize=3)
        if result.tokens is None:
            ax.set_xlabel("step")
        set_title(ax, self.name)
        return ax
