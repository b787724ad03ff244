"""The base class of all displays, and functions for their charts. matplotlib is imported when something is drawn."""

from fastrnn.cells import CELLS
from fastrnn.inspection._inputs import last_step
from fastrnn.utils.optional import optional_module


class Display:
    """Base class of displays: a result, the name of the model that it comes from, and a chart of it.

    A subclass has `from_estimator`, which computes the result, and `_draw`.

    Parameters
    ----------
    result : NamedTuple
    name : str, default=""
        The model's name in the legend or title.
    """

    def __init__(self, result, name=""):
        self.result = result
        self.name = name

    def plot(self, ax=None, **kwargs):
        """Draw the chart.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``plot``.

        Returns
        -------
        Display
            The display itself.
        """
        self.ax_ = self._draw(ax, **kwargs)
        self.figure_ = self.ax_.figure
        return self

    def _draw(self, ax, **kwargs):
        """Draw on `ax`, or on new axes where that is None; return the axes."""
        raise NotImplementedError


def new_axes(ax=None, **options):
    """Return `ax`, or the axes (or an array of them) of a new figure with `options` of ``pyplot.subplots``.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    if ax is not None:
        return ax
    pyplot = optional_module("matplotlib.pyplot", "Plots need")
    return pyplot.subplots(**{"layout": "constrained", **options})[1]


def draw_lines(ax, lines, options, *, one_color=True):
    """Draw the lines of a model and return them.

    Parameters
    ----------
    ax : matplotlib Axes
    lines : iterable of (ndarray (n,), ndarray (n,), dict)
        For each line, the places of its points and its own options of ``plot``.
    options : dict
        The user's options of ``plot`` for all lines.
    one_color : bool, default=True
        Whether all lines have the colour of the first.

    Returns
    -------
    list of matplotlib Line2D
    """
    drawn = []
    for x, y, style in lines:
        style = {**style, **options}
        if drawn and one_color:
            style.setdefault("color", drawn[0].get_color())
        drawn += ax.plot(x, y, **style)
    return drawn


def draw_reference(ax, name, draw, value):
    """Draw a reference line by `draw`, ``ax.axhline`` for instance; return False if a chart before this has done so."""
    if any(line.get_gid() == name for line in ax.lines):
        return False
    draw(value, color="0.4", linestyle="--", linewidth=1, gid=name)
    return True


def draw_bars(ax, names, values, xlabel, **options):
    """Draw named numbers as bars, the first one on top: blue above 0, red below.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None makes a new figure of the height that the bars need.
    names : list of str
    values : ndarray (n,)
    xlabel : str
        What the numbers are.
    **options
        Options of matplotlib's ``barh``.

    Returns
    -------
    ax : matplotlib Axes
    bars : matplotlib BarContainer
    """
    ax = new_axes(ax, figsize=(6.4, 1.2 + 0.25 * len(names)))
    colors = ["tab:blue" if value > 0 else "tab:red" for value in values]
    bars = ax.barh(range(len(names)), values, **{"color": colors, **options})
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.invert_yaxis()
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_xlabel(xlabel)
    return ax, bars


def finish(ax, xlabel, ylabel="", grid="both"):
    """Label the axes of a chart of lines, and add a grid and a legend in which a "$" begins no formula."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(axis=grid, alpha=0.3)
    for text in ax.legend().get_texts():
        text.set_parse_math(False)


def set_title(ax, title):
    """Set the title of a chart without a legend."""
    ax.set_title(title, loc="left", fontsize="medium", parse_math=False)


def default_name(model):
    """Return the name of a model's cell, or of its class if it has none; of a translator, the attention too."""
    model, _ = last_step(model)
    if hasattr(model, "align"):
        return f"{model.cell}, {model.attention or 'no'} attention"
    cell = getattr(model, "cell", model)
    return cell if isinstance(cell, str) else next((name for name in CELLS if CELLS[name] is cell), type(cell).__name__)
