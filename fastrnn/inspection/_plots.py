"""Parts that the displays share. matplotlib is imported when something is drawn, and not before."""

from fastrnn.cells import CELLS
from fastrnn.inspection._inputs import last_step
from fastrnn.text.normalization import without_surrogates
from fastrnn.text.tokens import END_ID, SPECIAL_TOKENS
from fastrnn.utils.checks import check_choice
from fastrnn.utils.optional import optional_module

_LABELLED_TOKENS = 80  # more would not be legible
_MONOSPACE_ADVANCE = 0.61  # width of a character, in font sizes


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


def add_legend(ax):
    """Add a legend whose names stand there as they are: a "$" begins no formula."""
    for text in ax.legend().get_texts():
        text.set_parse_math(False)


def default_name(model):
    """Return the name of a model's cell, or of its class if it has none."""
    model, _ = last_step(model)
    cell = getattr(model, "cell", model)
    return cell if isinstance(cell, str) else next((name for name in CELLS if CELLS[name] is cell), type(cell).__name__)


def direction_index(layer, names):
    """Return the place of a layer and direction in the names of a result."""
    check_choice("layer", layer, names)
    return names.index(layer)


def show_activations(ax, values, tokens, title, **kwargs):
    """Draw activations (T, H) as an image with a column a token, and return the image.

    What is never negative is drawn from 0 on in one hue, anything else symmetric around a neutral 0.
    """
    largest = max(1.0, abs(values).max(initial=0))
    colors = {"vmin": 0, "vmax": largest, "cmap": "viridis"}
    if values.min(initial=0) < 0:
        colors = {"vmin": -largest, "vmax": largest, "cmap": "RdBu_r"}
    image = ax.imshow(values.T, **{"aspect": "auto", "interpolation": "nearest", **colors, **kwargs})
    ax.figure.colorbar(image, ax=ax, pad=0.01)
    ax.set_ylabel(f"{title}: units")
    if tokens is not None and len(tokens) <= _LABELLED_TOKENS:
        labels = [printable(token).replace(" ", "␣") for token in tokens]
        rotation = 90 if max(map(len, labels)) > 1 else 0
        ax.set_xticks(range(len(tokens)), labels, rotation=rotation, parse_math=False)
    return image


def show_text(ax, tokens, places, size, activations, cmap, lowest=None):
    """Write tokens on backgrounds coloured by their activations, and return these.

    Parameters
    ----------
    ax : matplotlib Axes
    tokens : list of str
    places : list of (int, int)
        Line and column of each.
    size : (int, int)
        Characters in a line, and lines.
    activations : ndarray (T,)
    cmap : str or matplotlib Colormap
    lowest : float or None, default=None
        The activation that has the first colour; None takes the negative of that with the last one.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    largest = abs(activations).max() or 1.0
    colors = ScalarMappable(Normalize(-largest if lowest is None else lowest, largest), cmap)
    width, lines = size
    ax.set(xlim=(0, width), ylim=(lines, 0), xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set_visible(False)
    ax.figure.colorbar(colors, ax=ax, fraction=0.03, pad=0.01)
    ax.figure.canvas.draw()  # so that the axes have their final size, which the letters must fit
    points = ax.get_window_extent().width * 72 / ax.figure.dpi / width
    boxes = []
    for token, (line, column), activation in zip(tokens, places, activations, strict=True):
        color = colors.to_rgba(activation)
        box = Rectangle((column, line + 0.05), len(token), 0.9, facecolor=color, edgecolor="none")
        boxes.append(ax.add_patch(box))
        dark = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 0.5
        ax.text(column + len(token) / 2, line + 0.5, printable(token), ha="center", va="center", family="monospace",
                color="white" if dark else "black", fontsize=points / _MONOSPACE_ADVANCE, parse_math=False)  # fmt: skip
    return boxes


def separator(tokens):
    """Return what stands between tokens in a text: nothing if they are single characters, but for ``</s>``."""
    return "" if all(len(token) == 1 for token in tokens if token != SPECIAL_TOKENS[END_ID]) else " "


def printable(token):
    """Return a token as it can be written in a chart, with line breaks and tabs visible."""
    return without_surrogates(token).replace("\n", "⏎").replace("\t", "⇥")
