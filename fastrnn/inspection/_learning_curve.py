"""The losses of a training, epoch by epoch."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.inspection._display import Display, default_name, draw_lines, finish, new_axes
from fastrnn.inspection._inputs import last_step


class LearningCurveDisplay(Display):
    """Chart of a training's loss, and of the loss on the validation text, after each epoch.

    Parameters
    ----------
    loss_curve : list of float
        Mean training loss of each epoch, in nats.
    validation_scores : list of float
        Score of each epoch, higher is better; empty without validation. Where a score is above 0, the scores are shares
        (accuracy, F1), and 1 - score is drawn.
    name : str
        The model's name in the legend.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Training, and validation if there is one.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, loss_curve, validation_scores, name):
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, perplexity=False, ax=None, **kwargs):
        """Draw the curves of a fitted model.

        Parameters
        ----------
        estimator : object
            Has ``loss_curve_`` and ``validation_scores_``, as `RNNLanguageModel`; or a pipeline or search that ends in
            one.
        name : str or None, default=None
            The model's name in the legend; None takes its cell's, or its class's.
        perplexity : bool, default=False
            Whether to draw the exponential of the losses, on a logarithmic axis.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``plot``.

        Returns
        -------
        LearningCurveDisplay
        """
        estimator, _ = last_step(estimator)
        check_is_fitted(estimator, "loss_curve_")
        name = default_name(estimator) if name is None else name
        display = cls(estimator.loss_curve_, estimator.validation_scores_, name)
        return display.plot(ax, perplexity=perplexity, **kwargs)

    def plot(self, ax=None, *, perplexity=False, **kwargs):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        perplexity : bool, default=False
            As in `from_estimator`.
        **kwargs
            Options of matplotlib's ``plot``.

        Returns
        -------
        LearningCurveDisplay
        """
        return super().plot(ax, perplexity=perplexity, **kwargs)

    def _draw(self, ax, perplexity, **kwargs):
        ax = new_axes(ax)
        scores = np.array(self.validation_scores)
        name, losses = ("validation, 1 - score", 1 - scores) if (scores > 0).any() else ("validation", -scores)
        curves = {"training": (np.array(self.loss_curve), "--"), name: (losses, "-")}
        lines = [
            (
                np.arange(1, len(losses) + 1),
                np.exp(losses) if perplexity else losses,
                {"label": f"{self.name}, {label}", "linestyle": style, "marker": "."},
            )
            for label, (losses, style) in curves.items()
            if label == "training" or len(losses)
        ]
        self.lines_ = draw_lines(ax, lines, kwargs)
        if perplexity:
            ax.set_yscale("log")
        finish(ax, "epoch", "perplexity" if perplexity else "loss (nats)")
        return ax
