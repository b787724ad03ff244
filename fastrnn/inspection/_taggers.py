"""Taggers, and one sequence that they read."""

from typing import NamedTuple

from fastrnn.inspection._inputs import check_one, last_step
from fastrnn.tagging.base import BaseTagger
from fastrnn.utils.checks import check_fitted, did_you_mean, shown


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
    """Return the fitted tagger at the end of a pipeline or search.

    Raises
    ------
    TypeError
        The model is no tagger.
    ValueError
        It predicts several labels for each element.
    """
    model, _ = last_step(model)
    if not isinstance(model, BaseTagger):
        raise TypeError(f"model must be a CRFTagger or an RNNTagger, got {type(model).__name__}.")
    check_fitted(model, "classes_")
    if model._target.kind != "tags":
        raise ValueError("model must predict one label for each element, got a tagger of several labels.")
    return model


def number_of(label, labels, name):
    """Return the number of a label among the inner labels of a tagger; `name` is the argument's name in messages."""
    if label not in labels:
        near = did_you_mean(label, [known for known in labels if isinstance(known, str)])
        raise ValueError(f"{name} must be one of {shown(labels)}, got {shown(label)}{near}")
    return labels.index(label)


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
