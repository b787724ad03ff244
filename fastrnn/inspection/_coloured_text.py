"""Texts as charts: each token on a background that shows a number. matplotlib is imported when one is drawn."""

from fastrnn.inspection._display import new_axes, set_title
from fastrnn.text.normalization import without_surrogates
from fastrnn.text.tokens import END_ID, SPECIAL_TOKENS

_MONOSPACE_ADVANCE = 0.61  # width of a character, in font sizes


def draw_text(ax, tokens, activations, title, *, width, cmap, lowest=None):
    """Draw a text whose tokens have backgrounds that are coloured by their activations.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None makes a new figure of the height that the text needs.
    tokens : list of str
    activations : ndarray (T,)
    title : str
    width : int
        Characters per line.
    cmap : str or matplotlib Colormap
    lowest : float or None, default=None
        The activation with the first colour; None takes the negative of the one with the last colour.

    Returns
    -------
    ax : matplotlib Axes
    boxes : list of matplotlib Rectangle
        The background of each token.
    """
    places, lines = place_tokens(tokens, width)
    ax = new_axes(ax, figsize=(11, 0.9 + 0.27 * lines))
    boxes = _write(ax, tokens, places, (width, lines), activations, cmap, lowest)
    set_title(ax, title)
    return ax, boxes


def _write(ax, tokens, places, size, activations, cmap, lowest):
    """Write tokens on backgrounds that are coloured by their activations; return the backgrounds.

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
    lowest : float or None
        As in `draw_text`.
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
        ax.text(column + len(token) / 2, line + 0.5, printable(token), ha="center", va="center", family="monospace",
                color="white" if is_dark(color) else "black", fontsize=points / _MONOSPACE_ADVANCE,
                parse_math=False)  # fmt: skip
    return boxes


def is_dark(color):
    """Return whether a colour, (red, green, blue, opacity) from 0 to 1, needs white letters."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 0.5


def place_tokens(tokens, width):
    """Return line and column of each token in text of `width` characters a line, and the number of lines.

    A space separates tokens unless all are single characters, see `separator`. A line break begins a new line.
    """
    space = len(separator(tokens))
    places, line, column = [], 0, 0
    for token in tokens:
        if column and column + len(token) > width:
            line, column = line + 1, 0
        places.append((line, column))
        column += len(token) + space
        if token == "\n":
            line, column = line + 1, 0
    return places, places[-1][0] + 1


def separator(tokens):
    """Return the text between two tokens: nothing if all but ``</s>`` are single characters, and a space otherwise."""
    return "" if all(len(token) == 1 for token in tokens if token != SPECIAL_TOKENS[END_ID]) else " "


def printable(token):
    """Return a token as a chart can show it, with line breaks and tabs visible."""
    return without_surrogates(token).replace("\n", "⏎").replace("\t", "⇥")
