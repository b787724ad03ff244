"""Tables as plain text; `fastrnn.utils.html` writes the same rows for notebooks."""


def text_table(rows):
    """Return rows of cells as lines, the first column aligned to the left, the others to the right.

    Parameters
    ----------
    rows : list of (list of str)
        The first row is the heading.

    Returns
    -------
    str

    Examples
    --------
    >>> print(text_table([["model", "loss"], ["LSTM", "0.5"], ["GRU", "10.25"]]))
    model   loss
    LSTM     0.5
    GRU    10.25
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )
