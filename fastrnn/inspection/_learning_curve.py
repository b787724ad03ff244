"""How a training went."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.inspection._inputs import last_step
from fastrnn.inspection._plots import add_legend, default_name, new_axes


class LearningCurveDisplay:
    """Chart of a training's loss, and of the loss on the validation text, after each epoch.

    Parameters
    ----------
    loss_curve : list of float
        Mean training loss of each epoch, in nats.
    validation_scores : list of float
        Score of each epoch, higher is better; empty without validation.
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
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = []
        curves = [("training", np.array(self.loss_curve), "--")]
        if len(self.validation_scores):
            curves.append(("validation", -np.array(self.validation_scores), "-"))
        for label, losses, line in curves:
            style = {"label": f"{self.name}, {label}", "linestyle": line, "marker": ".", **kwargs}
            if self.lines_:  # both curves of a model have one colour
                style.setdefault("color", self.lines_[0].get_color())
            values = np.exp(losses) if perplexity else losses
            self.lines_ += self.ax_.plot(np.arange(1, len(losses) + 1), values, **style)
        self.ax_.set_xlabel("epoch")
        self.ax_.set_ylabel("perplexity" if perplexity else "loss (nats)")
        if perplexity:
            self.ax_.set_yscale("log")
        self.ax_.grid(alpha=0.3)
        add_legend(self.ax_)
        return self
