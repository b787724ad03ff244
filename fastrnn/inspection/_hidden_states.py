"""The states of a recurrent network at each token."""

from typing import NamedTuple

from fastrnn.inspection._coloured_text import draw_text
from fastrnn.inspection._display import Display, default_name, new_axes, set_title
from fastrnn.inspection._inputs import read_inputs, read_one
from fastrnn.inspection._unrolled import direction_index, direction_names, on_host
from fastrnn.utils.checks import check_choice
from fastrnn.utils.html import table
from fastrnn.utils.recurrent import state_parts
from fastrnn.utils.use import reads

_SHOWN_SEQUENCES = 5  # in a notebook


class HiddenStates(NamedTuple):
    """Result of `hidden_states`. A notebook shows sizes and ranges as a table.

    Attributes
    ----------
    values : dict of str to (list of ndarray (layers · directions, T_i, H))
        For each state of the cell, ``"h"`` and perhaps more, its values after each step of each sequence. With a
        projection, ``"h"`` has the size of the projection.
    names : tuple of str
        The layers and directions as in the names of parameters: ``"l0"``, ``"l0_reverse"``, ``"l1"``, ...
    tokens : list of (list of str) or None
        The tokens of each text; None for series and arrays.
    """

    values: dict
    names: tuple
    tokens: list | None

    def _repr_html_(self):
        sizes = [["state", "layer", "sequence", "steps", "units", "mean", "least", "most"]]
        for state, sequences in self.values.items():
            for b, arrays in enumerate(sequences[:_SHOWN_SEQUENCES]):
                for name, values in zip(self.names, arrays, strict=True):
                    numbers = [values.mean(), values.min(), values.max()] if values.size else []
                    row = [state, name, str(b), *map(str, values.shape), *(f"{number:+.3f}" for number in numbers)]
                    sizes.append(row + [""] * (8 - len(row)))
        n = len(next(iter(self.values.values())))
        return table(sizes, f"Hidden states of {n:,} sequences" if n != 1 else "Hidden states of one sequence")


@reads
def hidden_states(model, X):
    """Return all states of a recurrent network at every step: h, and c where the cell has one.

    Every sequence is read on its own, from the initial states. The states after the symbol that a language model reads
    before a text are not in the result.

    Parameters
    ----------
    model : RNNLanguageModel, RNNClassifier, RNNRegressor, RNNTranslator or Recurrent
        A fitted model, perhaps in a pipeline, or a recurrent layer.
    X : iterable of (str or list of str), or array, or list of ndarray (T_i, D)
        Texts or series, as a model reads them; for a layer, a batch in its layout (T, B, D) or (B, T, D), or sequences
        of their own lengths.

    Returns
    -------
    HiddenStates

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.inspection import hidden_states
    >>> from fastrnn.layers import LSTM
    >>> result = hidden_states(LSTM(3, 8, num_layers=2, random_state=0), [np.ones((5, 3)), np.ones((7, 3))])
    >>> result.names, [values.shape for values in result.values["c"]]
    (('l0', 'l1'), [(2, 5, 8), (2, 7, 8)])
    """
    return _states_of(read_inputs(model, X))


@reads
def _states_of_one(model, text):
    return _states_of(read_one(model, text))


def _states_of(inputs):
    layer, first = inputs.layer, inputs.n_before
    states = on_host(layer, layer.forward(inputs.sequences, return_all_states=True)[2])
    values = {}
    for name, state in zip(layer.cell.states, state_parts(states), strict=True):
        batch = state if layer.batch_first else state.swapaxes(1, 2)  # (layers · directions, B, T, size)
        lengths = [len(sequence) for sequence in inputs.sequences]
        values[name] = [batch[:, b, first:length].copy() for b, length in enumerate(lengths)]
    return HiddenStates(values, direction_names(layer), inputs.tokens)


class HiddenStatesDisplay(Display):
    """A text, coloured by the activation of one hidden unit; or for a series, a chart of it against the steps.

    This picture shows the properties that single units of a language model track: quotation marks, the place in a line,
    the number of a noun (Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015).

    Parameters
    ----------
    result : HiddenStates
        Of one text.
    name : str
        The model's name in the title.
    unit : int or None, default=None
        Which hidden unit; None takes the one that varies most.
    layer : str, default="l0"
        Layer and direction, one of ``result.names``.
    state : str, default="h"
        Which of the states.

    Attributes
    ----------
    unit : int
    activations : ndarray (T,)
        The activations that colour the tokens.
    boxes_ : list of matplotlib Rectangle
        The background of each token; none for a series.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, result, name, unit=None, layer="l0", state="h"):
        n = len(next(iter(result.values.values())))
        if n != 1:
            raise ValueError(f"result must be that of one text or series, got that of {n}.")
        check_choice("state", state, result.values)
        values = result.values[state][0][direction_index(layer, result.names)]  # (T, H)
        if not len(values):
            raise ValueError("The text or series is empty.")
        if unit is None:
            unit = int(values.var(axis=0).argmax())
        if not 0 <= unit < values.shape[1]:
            raise ValueError(f"unit must be from 0 to {values.shape[1] - 1}, got {unit}.")
        super().__init__(result, name)
        self.unit = unit
        self.layer = layer
        self.state = state
        self.activations = values[:, unit]

    @classmethod
    def from_estimator(cls, estimator, text, *, unit=None, layer="l0", state="h", name=None, ax=None, **kwargs):
        """Run a model over a text and draw that coloured, or over a series and draw the unit's activation.

        Parameters
        ----------
        estimator, text
            As `model` of `hidden_states`, and one text, or series or array (T, D).
        unit : int or None, default=None
            Which hidden unit; None takes the one that varies most on this text.
        layer : str, default="l0"
            Layer and direction as in the names of parameters.
        state : str, default="h"
            ``"h"``, or ``"c"`` where the cell has it.
        name : str or None, default=None
            The model's name in the title; None takes its cell's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the height that the text needs.
        **kwargs
            Options of `plot`.

        Returns
        -------
        HiddenStatesDisplay
        """
        name = default_name(estimator) if name is None else name
        return cls(_states_of_one(estimator, text), name, unit, layer, state).plot(ax, **kwargs)

    def plot(self, ax=None, *, width=80, cmap="RdBu_r"):
        """Draw the text, or the chart of a series.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the height that the text needs.
        width : int, default=80
            Characters in a line.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours from the most negative to the most positive activation; 0 is in the middle.

        Returns
        -------
        HiddenStatesDisplay
        """
        return super().plot(ax, width=width, cmap=cmap)

    def _draw(self, ax, width, cmap):
        title = f"{self.name}, unit {self.unit} of {self.state}, {self.layer}"
        if self.result.tokens is not None:
            tokens = self.result.tokens[0]
            ax, self.boxes_ = draw_text(ax, tokens, self.activations, title, width=width, cmap=cmap)
            return ax
        ax, self.boxes_ = new_axes(ax), []
        ax.plot(self.activations)
        ax.set(xlabel="step", ylabel="activation")
        ax.grid(alpha=0.3)
        set_title(ax, title)
        return ax
