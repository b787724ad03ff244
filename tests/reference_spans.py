"""Spans of tags by the rules of the script conlleval, token by token."""


def reference_spans(tags):
    """Return the spans (begin, end, type) of one sequence of tags of the letters O, B, I, E and S."""
    found, begin = [], None
    prefix, kind = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        last_prefix, last_kind = prefix, kind
        prefix, _, kind = tag.partition("-")
        if begin is not None and _ends(last_prefix, prefix, last_kind, kind):
            found.append((begin, place, last_kind))
            begin = None
        if _starts(last_prefix, prefix, last_kind, kind):
            begin = place
    return found


def _ends(last_prefix, prefix, last_kind, kind):
    pairs = {"BB", "BS", "BO", "IB", "IS", "IO"}
    return last_prefix in "ES" or last_prefix + prefix in pairs or (last_prefix != "O" and last_kind != kind)


def _starts(last_prefix, prefix, last_kind, kind):
    pairs = {"EE", "EI", "SE", "SI", "OE", "OI"}
    return prefix in "BS" or last_prefix + prefix in pairs or (prefix != "O" and last_kind != kind)
