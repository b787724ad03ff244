"""HTML for notebooks: tables, and texts on coloured backgrounds; there are no scripts, and all content is escaped."""

import html

_AGAINST, _FOR = (
    "214,96,77",
    "67,147,195",
)  # red and blue: distinct for colour-blind readers, and on light and dark pages


def table(rows, caption=None):
    """Return rows of cells as a table.

    Parameters
    ----------
    rows : list of (list of str)
        The first row is the heading. The first column is aligned to the left, the others to the right.
    caption : str or None, default=None

    Returns
    -------
    str

    Examples
    --------
    >>> print(table([["model", "loss"], ["<a>", "0.5"]]))
    <table>
    <tr><th style="text-align:left">model</th><th style="text-align:right">loss</th></tr>
    <tr><td style="text-align:left">&lt;a&gt;</td><td style="text-align:right">0.5</td></tr>
    </table>
    """
    lines = ["<table>"] if caption is None else ["<table>", f"<caption>{html.escape(caption)}</caption>"]
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        cells = [
            f'<{tag} style="text-align:{"right" if column else "left"}">{html.escape(cell)}</{tag}>'
            for column, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</table>"])


def coloured_table(rows, columns, shares, tips, caption):
    """Return a matrix as a table whose cells have a blue background, the stronger the larger the number.

    Parameters
    ----------
    rows, columns : list of str
        Names of the R rows and C columns.
    shares : array-like (R, C)
        Strengths of the colours, from 0 to 1.
    tips : list of (list of str)
        Text to show while the mouse is on a cell.
    caption : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(coloured_table(["a"], ["b", "c"], [[1.0, 0.5]], [["a b: 1", "a c: 0.5"]], "Weights"))
    <table>
    <caption>Weights</caption>
    <tr><th></th><th>b</th><th>c</th></tr>
    <tr><th style="text-align:left">a</th><td style="background-color:rgba(67,147,195,0.80)" title="a b: 1"></td>\
<td style="background-color:rgba(67,147,195,0.40)" title="a c: 0.5"></td></tr>
    </table>
    """
    lines = ["<table>", f"<caption>{html.escape(caption)}</caption>"]
    lines.append("<tr><th></th>" + "".join(f"<th>{html.escape(name)}</th>" for name in columns) + "</tr>")
    for name, values, of_row in zip(rows, shares, tips, strict=True):
        cells = [
            f'<td style="background-color:rgba({_FOR},{0.8 * share:.2f})" title="{html.escape(tip)}"></td>'
            for share, tip in zip(values, of_row, strict=True)
        ]
        lines.append(f'<tr><th style="text-align:left">{html.escape(name)}</th>{"".join(cells)}</tr>')
    return "\n".join([*lines, "</table>"])


def coloured_text(tokens, shares, tips, title, space=" "):
    """Return a text whose tokens have a blue background for a positive share, a red one for a negative one.

    Parameters
    ----------
    tokens : list of str
    shares : array-like (T,)
        Strengths of the colours, from -1 to 1.
    tips : list of str
        Text to show while the mouse is on a token.
    title : str
        A line above the text.
    space : str, default=" "
        Text between the tokens.

    Returns
    -------
    str

    Examples
    --------
    >>> print(coloured_text(["so", "dull"], [0.0, -1.0], ["0", "-2"], "neg"))
    <div><div><b>neg</b></div><div style="font-family:monospace;white-space:pre-wrap;line-height:1.6"><span \
style="background-color:rgba(67,147,195,0.00)" title="0">so</span> <span \
style="background-color:rgba(214,96,77,0.80)" title="-2">dull</span></div></div>
    """
    spans = [
        f'<span style="background-color:rgba({_AGAINST if share < 0 else _FOR},{0.8 * abs(share):.2f})" '
        f'title="{html.escape(tip)}">{html.escape(token)}</span>'
        for token, share, tip in zip(tokens, shares, tips, strict=True)
    ]
    style = "font-family:monospace;white-space:pre-wrap;line-height:1.6"
    return f'<div><div><b>{html.escape(title)}</b></div><div style="{style}">{space.join(spans)}</div></div>'
