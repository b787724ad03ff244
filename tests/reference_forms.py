"""Shapes of words, one character after another."""

import itertools


def reference_shape(form):
    """Return the shape of a form: X, x and d for runs of capitals, other letters and digits; 8 characters at most."""
    kinds = []
    for character in form:
        if character.isdigit():
            kinds.append("d")
        elif character.isalpha():
            kinds.append("X" if character.isupper() or character.istitle() else "x")
        else:
            kinds.append(character)
    return "".join(kind for kind, _ in itertools.groupby(kinds))[:8]
