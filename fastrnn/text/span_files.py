"""JSON Lines of texts with spans: ``{"text": "EU rejects", "spans": [[0, 2, "ORG"]]}``."""

import json

from fastrnn.text.reading import name_of, open_lines
from fastrnn.text.writing import text_writer
from fastrnn.utils.checks import shown

_SPANS = ("spans", "entities", "labels", "label")


def read_spans(source, encoding="utf-8"):
    r"""Read texts with labelled spans from a file with a JSON object a line.

    Parameters
    ----------
    source : str, os.PathLike or file object
        The path of a file, or an open file; plain or compressed with gzip, bzip2 or xz. Each object has a "text", and
        its "spans" (or "entities", "labels", "label") as lists ``[begin, end, label]`` or as objects with "start",
        "end" and "label". Places count characters; `end` is the one after the last.
    encoding : str, default="utf-8"

    Returns
    -------
    texts : list of str
    spans : list of lists of (begin, end, label), or None
        None if no object has spans.

    Raises
    ------
    ValueError
        A line is no such object, or a span is not in its text: the message names file and line.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import io
    >>> read_spans(io.StringIO('{"text": "EU rejects", "spans": [[0, 2, "ORG"]]}\n'))
    (['EU rejects'], [[(0, 2, 'ORG')]])
    """
    return spans_of_lines(name_of(source), open_lines(source, encoding))


def spans_of_lines(name, lines):
    """Return texts and spans as `read_spans` does, from the lines of a file and its name for messages."""
    texts, spans, first_without = [], [], None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"{place}: no JSON: {shown(line)}.") from None
        if not isinstance(content, dict) or not isinstance(content.get("text"), str):
            raise ValueError(f'{place}: expected a JSON object with a "text", got {shown(content)}.')
        key = next((key for key in _SPANS if isinstance(content.get(key), list)), None)
        first_without = place if key is None and first_without is None else first_without
        texts.append(content["text"])
        spans.append([_span(span, place, key, texts[-1]) for span in content[key]] if key else None)
    if all(found is None for found in spans):
        return texts, None
    if first_without is not None:
        raise ValueError(f'{first_without}: the object has no "spans", as others have.')
    return texts, spans


def _span(span, place, key, text):
    """Return a span as a tuple; raise ValueError if it is none."""
    given = span
    if isinstance(span, dict):
        span = [span.get("start"), span.get("end"), span.get("label")]
    if not isinstance(span, list) or len(span) != 3 or not isinstance(span[2], str):
        raise ValueError(f"{place}: expected {key} as [begin, end, label], got {shown(given)}.")
    begin, end, label = span
    if not all(type(part) is int for part in (begin, end)) or not 0 <= begin < end <= len(text):
        raise ValueError(f"{place}: expected {key} within a text of {len(text)} characters, got {shown(given)}.")
    return begin, end, label


def write_spans(target, texts, spans, encoding="utf-8"):
    r"""Write texts with labelled spans into a file with a JSON object a line.

    Parameters
    ----------
    target : str, os.PathLike or file object
        The path of a file, which is compressed if its name ends in ``.gz``, ``.bz2`` or ``.xz``, or an open file.
    texts : list of str
    spans : list of lists of (begin, end, label)
    encoding : str, default="utf-8"

    Raises
    ------
    ValueError
        There are more texts than lists of spans, or fewer; or a span is not within its text: the message names it.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import io
    >>> file = io.StringIO()
    >>> write_spans(file, ["EU rejects"], [[(0, 2, "ORG")]])
    >>> file.getvalue()
    '{"text": "EU rejects", "spans": [[0, 2, "ORG"]]}\n'
    """
    if len(texts) != len(spans):
        raise ValueError(f"texts and spans must be of the same length, got {len(texts)} and {len(spans)}.")
    with text_writer(target, encoding) as write:
        for index, (text, found) in enumerate(zip(texts, spans, strict=True)):
            for place, (begin, end, _) in enumerate(found):
                if not 0 <= begin < end <= len(text) or int(begin) != begin or int(end) != end:
                    raise ValueError(
                        f"spans[{index}][{place}] must be a span within {len(text)} characters, got "
                        f"{shown(tuple(found[place]))}."
                    )
            line = {"text": text, "spans": [[int(begin), int(end), label] for begin, end, label in found]}
            write(json.dumps(line, ensure_ascii=False) + "\n")
