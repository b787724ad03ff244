"""Matrices as charts: an image whose rows and columns have names. matplotlib is imported when one is drawn."""

import numpy as np

from fastrnn.inspection._coloured_text import is_dark, printable
from fastrnn.inspection._display import new_axes

_MOST_WRITTEN = 15  # rows or columns up to which numbers stand in their cells


def draw_matrix(ax, values, rows, columns, *, label, form="{:.2g}", signed=False, written=None, **options):
    """Draw a matrix as an image.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None makes a new figure of the size that the matrix needs.
    values : ndarray (R, C)
        -inf and NaN have no colour.
    rows : sequence of str (R,)
        Their names.
    columns : sequence of str (C,), or None
        Their names; None numbers them.
    label : str
        The name of the colours.
    form : str, default="{:.2g}"
        How a number is written.
    signed : bool, default=False
        Whether 0 has the middle colour.
    written : ndarray (R, C) or None, default=None
        The numbers that stand in the cells, where the matrix is small; None writes `values`.
    **options
        Options of matplotlib's ``imshow``.

    Returns
    -------
    ax : matplotlib Axes
    image : matplotlib AxesImage

    Raises
    ------
    ValueError
        The matrix is empty.
    """
    if not np.size(values):
        raise ValueError("There is nothing to draw: the matrix has no rows or no columns.")
    values, written = np.asarray(values, np.float64), np.asarray(values if written is None else written)
    size = (2.5 + 0.35 * values.shape[1], 2 + 0.28 * values.shape[0])
    ax = new_axes(ax, figsize=tuple(min(max(side, least), 20) for side, least in zip(size, (4.8, 3), strict=True)))
    finite = np.isfinite(values)
    largest = abs(values[finite]).max(initial=0) or 1.0
    colors = {"cmap": "RdBu", "vmin": -largest, "vmax": largest} if signed else {"cmap": "Blues", "vmin": 0}
    shown = np.where(finite, values, np.nan)
    image = ax.imshow(shown, **{"aspect": "auto", "interpolation": "nearest", **colors, **options})
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.01)
    if columns is not None:
        ax.set_xticks(range(len(columns)), map(printable, columns), rotation=90, parse_math=False)
    ax.set_yticks(range(len(rows)), map(printable, rows), parse_math=False)
    if max(values.shape, default=0) <= _MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ax.text(column, row, form.format(written[row, column]), ha="center", va="center", fontsize="small",
                        color="white" if is_dark(image.to_rgba(value)) else "black")  # fmt: skip
    return ax, image
