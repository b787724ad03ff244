"""Taggers, and one sequence that they read."""

from typing import NamedTuple

from fastrnn.inspection._inputs import check_one, last_step
from fastrnn.tagging.base import BaseTagger


class TaggedSequence(NamedTuple):
    """One sequence, and what a tagger makes of it.

    Attributes
    ----------
    model : BaseTagger
        The last step of a pipeline.
    X : list
        The sequence alone, as the model reads it; a text is cut into tokens.
    tokens : list of str or None
        None for series, and for elements that are attributes.
    labels : list
        The predicted labels.
    """

    model: object
    X: list
    tokens: list | None
    labels: list


def last_tagger(model):
    """Return the tagger at the end of a pipeline or search; raise TypeError if it is none."""
    model, _ = last_step(model)
    if not isinstance(model, BaseTagger):
        raise TypeError(f"model must be a CRFTagger or an RNNTagger, got {type(model).__name__}.")
    return model


def read_sequence(model, sequence):
    """Return the `TaggedSequence` of one sequence; `model` may be a pipeline or a search."""
    tagger = last_tagger(model)
    check_one(tagger, sequence)
    _, X = last_step(model, [sequence])
    X = tagger._cut(X)
    return TaggedSequence(tagger, X, _tokens(tagger, X[0]), list(tagger._labels(X)[0]))


def _tokens(tagger, sequence):
    """Return the tokens of a sequence, or None if it has none."""
    if getattr(tagger, "input", None) == "series":
        return None
    tokens = [element[0] if isinstance(element, tuple) and element else element for element in sequence]
    return [str(token) for token in tokens] if all(isinstance(token, str | int) for token in tokens) else None
