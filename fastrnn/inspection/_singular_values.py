"""Singular values of the recurrent weights, and their consequences for gradients."""

from typing import NamedTuple

import numpy as np

from fastrnn.cells._cell import count_units, declared
from fastrnn.inspection._cell_gates import cell_gates
from fastrnn.inspection._display import Display, default_name, draw_lines, draw_reference, finish, new_axes
from fastrnn.inspection._inputs import recurrent_layer
from fastrnn.inspection._unrolled import direction_names
from fastrnn.utils.use import reads

_ROUNDING = 1e-5  # of a product that is exactly 1 with orthogonal weights


class SingularValues(NamedTuple):
    """Result of `singular_values`, with an entry for each of the n recurrent matrices: one for each gate.

    Attributes
    ----------
    names : tuple of str
        Layer, direction and gate: ``"l0.h"`` for an RNN, ``"l0_reverse.i"`` for the input gate of an LSTM's second
        direction.
    values : ndarray (n, H)
        The singular values, largest first.
    slopes : ndarray (n,)
        Largest slope of the gate's nonlinearity: 1 for tanh and relu, 1/4 for the sigmoid, NaN where it is unknown.
    verdicts : tuple of str
        ``"vanishing"``, ``"can explode"`` or, on the border, ``"neither"``; ``"unknown"`` with layer normalization.
    """

    names: tuple
    values: np.ndarray
    slopes: np.ndarray
    verdicts: tuple


@reads
def singular_values(model):
    """Return the singular values of the recurrent weights, gate by gate, and the verdict of theory.

    A step backwards multiplies the gradient with the transposed recurrent matrix and with the slopes of the
    nonlinearity. Where the largest singular value times the largest slope is below 1, every step makes the gradient
    smaller: it vanishes. Above 1, it can explode (but need not): that is necessary for an explosion, not sufficient.

    The recurrent matrix is ``weight_hh``, with a projection its product with ``weight_hr``: from units to units. Layer
    normalization rescales its products, so that its singular values give no verdict.

    For a vanilla network that is the whole theory. The gates of a GRU or LSTM are judged one by one: the verdict is on
    the path back through this gate only, but these cells are designed for another path, past all matrices, where the
    forget or update gate alone multiplies the gradient. `gradient_flow` measures the joint effect.

    Parameters
    ----------
    model : RNNLanguageModel, RNNClassifier, RNNRegressor, RNNTranslator or Recurrent
        A fitted model, perhaps in a pipeline, or a recurrent layer.

    Returns
    -------
    SingularValues

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, section 2.1.

    Examples
    --------
    >>> from fastrnn.inspection import singular_values
    >>> from fastrnn.layers import GRU
    >>> result = singular_values(GRU(3, 16, random_state=0))
    >>> result.names, result.slopes.tolist()
    (('l0.r', 'l0.z', 'l0.n'), [0.25, 0.25, 1.0])
    >>> result.verdicts
    ('vanishing', 'vanishing', 'can explode')
    """
    layer = recurrent_layer(model)
    cell, names, values = layer.cell, [], []
    for direction in direction_names(layer):
        values += list(np.linalg.svd(_recurrent_matrices(layer, direction), compute_uv=False))
        names += [f"{direction}.{gate}" for gate in cell.gates]
    slopes = np.tile(largest_slopes(cell), layer.num_layers * layer.directions)
    verdicts = tuple(_verdict(slope * s[0]) for s, slope in zip(values, slopes, strict=True))
    return SingularValues(tuple(names), np.array(values), slopes, verdicts)


def _recurrent_matrices(layer, direction):
    """Return the matrices (G, H, H) by which the units of one step act on the gates of the next."""
    weight = layer.state_dict()[f"weight_hh_{direction}"].astype(np.float64)
    if weight.ndim == 1:  # every unit acts on itself alone
        return np.diag(weight)[None]
    if layer.proj_size:
        weight = weight @ layer.state_dict()[f"weight_hr_{direction}"]
    return np.stack(np.split(weight, len(layer.cell.gates)))


def largest_slopes(cell):
    """Return the largest slope of the nonlinearity of each gate (G,), found on a grid with the cell's own equations.

    NaN for cells with layer normalization, where it depends on all units of a row.
    """
    if declared(cell, "normalized"):
        return np.full(len(cell.gates), np.nan)
    grid, step = np.linspace(-4, 4, 801), 1e-4
    zeros = np.zeros((len(grid), 1))

    def gates(z):
        from_input = np.broadcast_to(z[:, None], (len(cell.gates), len(z), 1))
        states, units = (zeros,) * len(cell.states), (zeros,) * count_units(cell)
        return cell_gates(cell, from_input, states, units, lambda h: np.zeros((len(cell.gates), *h.shape)))

    return np.round((gates(grid + step) - gates(grid - step)).max(axis=(1, 2)) / (2 * step), 6)


def _verdict(gain):
    if np.isnan(gain):
        return "unknown"
    if abs(gain - 1) < _ROUNDING:
        return "neither"
    return "vanishing" if gain < 1 else "can explode"


class SingularValuesDisplay(Display):
    """Chart of the singular values, multiplied with the largest slope: gradients vanish where all are below 1.

    Parameters
    ----------
    result : SingularValues
    name : str
        The model's name in the legend.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each gate of each layer and direction.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs):
        """Compute the singular values of a model's recurrent weights and draw them.

        Parameters
        ----------
        estimator : RNNLanguageModel or Recurrent
        name : str or None, default=None
            The model's name in the legend; None takes its cell's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``plot``.

        Returns
        -------
        SingularValuesDisplay
        """
        name = default_name(estimator) if name is None else name
        return cls(singular_values(estimator), name).plot(ax, **kwargs)

    def _draw(self, ax, **kwargs):
        ax, result = new_axes(ax), self.result
        slopes = np.nan_to_num(result.slopes, nan=1.0)
        lines = [
            (np.arange(1, len(values) + 1), slope * values, {"label": f"{self.name}, {label}: {verdict}"})
            for label, values, slope, verdict in zip(result.names, result.values, slopes, result.verdicts, strict=True)
        ]
        self.lines_ = draw_lines(ax, lines, kwargs, one_color=False)
        draw_reference(ax, "border", ax.axhline, 1)
        ax.set_ylim(bottom=0)
        finish(ax, "rank", "singular value × largest slope")
        return ax
