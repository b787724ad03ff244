"""The attention weights of a model that writes sequences: for each target token, of each part of the source."""

from typing import NamedTuple

import numpy as np

from fastrnn.inspection._coloured_text import printable
from fastrnn.inspection._display import Display, set_title
from fastrnn.inspection._inputs import last_step
from fastrnn.inspection._matrix import draw_matrix
from fastrnn.utils.checks import shown
from fastrnn.utils.html import coloured_table
from fastrnn.utils.use import reads

_LISTED = 3  # parts of the source beside a token


class AttentionMatrix(NamedTuple):
    """Result of `attention`.

    ``print`` shows the parts of the source with the largest weights for each target token. A notebook shows the whole
    matrix.

    Attributes
    ----------
    sources : list of str or None
        The S tokens of the source; None for regions, which have no names.
    targets : list of str
        The T tokens of the target, ``</s>`` last.
    weights : ndarray (T, S)
        The attention weights with which each target token was predicted; the sum of a row is 1.
    """

    sources: list | None
    targets: list
    weights: np.ndarray

    def _names(self):
        """Return the names of target tokens and of parts of the source, as they are shown."""
        sources = map(str, range(self.weights.shape[1])) if self.sources is None else map(printable, self.sources)
        return list(map(printable, self.targets)), list(sources)

    def __str__(self):
        targets, sources = self._names()
        width, lines = max(map(len, targets), default=0), []
        for target, row in zip(targets, self.weights, strict=True):
            places = np.argsort(-row, kind="stable")[:_LISTED]
            lines.append(f"{target:<{width}}  " + ", ".join(f"{sources[place]} {row[place]:.3f}" for place in places))
        return "\n".join(lines)

    def _repr_html_(self):
        targets, sources = self._names()
        tips = [[f"{target} - {source}: {weight:.3f}" for source, weight in zip(sources, row, strict=True)]
                for target, row in zip(targets, self.weights, strict=True)]  # fmt: skip
        title = f"Attention of {len(targets)} target tokens (rows) to {len(sources)} parts of the source"
        return coloured_table(targets, sources, self.weights, tips, title)

    def plot(self, ax=None, **kwargs):
        """Draw the matrix; see `AttentionDisplay.plot`."""
        return AttentionDisplay(self).plot(ax, **kwargs)


@reads
def attention(model, x, y=None):
    """Return the attention weights of each target token for each part of one source.

    Parameters
    ----------
    model : RNNTranslator or RNNCaptioner, or a pipeline or search that ends in one
        Fitted, with attention.
    x : str, list of tokens, or array (R, D)
        One source, as the model reads it, or as the pipeline does.
    y : str or list of str, or None, default=None
        The target; None takes the model's prediction.

    Returns
    -------
    AttentionMatrix

    Raises
    ------
    TypeError
        The model has no method ``align``.
    ValueError
        The model has no attention (``attention=None``), or `x` is not one source.

    References
    ----------
    Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015: the
    figures of sentence pairs.

    Examples
    --------
    >>> from fastrnn import RNNTranslator
    >>> from fastrnn.inspection import attention
    >>> X, y = ["a b c", "b c", "c a b", "a a"] * 8, ["A B C", "B C", "C A B", "A A"] * 8
    >>> model = RNNTranslator(hidden_size=8, embedding_size=8, max_iter=2, random_state=0).fit(X, y)
    >>> result = attention(model, "a b c", "A B C")
    >>> result.sources, result.targets, result.weights.shape
    (['a', 'b', 'c'], ['A', 'B', 'C', '</s>'], (4, 3))
    """
    estimator, X = last_step(model, [x])
    if not hasattr(estimator, "align"):
        raise TypeError(f"model must be an RNNTranslator or an RNNCaptioner, got {shown(type(estimator).__name__)}.")
    (aligned,) = estimator.align(X, None if y is None else [y])
    return AttentionMatrix(*aligned)


class AttentionDisplay(Display):
    """Image of the attention of target tokens (rows) to the parts of a source (columns).

    Parameters
    ----------
    result : AttentionMatrix
    name : str, default=""
        The model's name in the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, x, y=None, *, name=None, ax=None, **kwargs):
        """Compute the attention of a model for one source, and draw it.

        Parameters
        ----------
        estimator, x, y
            As `model`, x and y of `attention`.
        name : str or None, default=None
            The model's name in the title; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``imshow``.

        Returns
        -------
        AttentionDisplay
        """
        name = type(last_step(estimator)[0]).__name__ if name is None else name
        return cls(attention(estimator, x, y), name).plot(ax, **kwargs)

    def _draw(self, ax, **kwargs):
        result = self.result
        ax, self.image_ = draw_matrix(ax, result.weights, result.targets, result.sources, label="attention",
                                      form="{:.2f}", **{"vmax": 1, **kwargs})  # fmt: skip
        ax.set(xlabel="region" if result.sources is None else "source", ylabel="target")
        set_title(ax, self.name)
        return ax
