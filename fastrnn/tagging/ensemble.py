"""Labels by several taggers together."""

import numpy as np

from fastrnn.layers.crf import allowed_scores
from fastrnn.tagging.sparse.chains import find_paths
from fastrnn.text.schemes import allowed
from fastrnn.utils.checks import check_fitted, shown
from fastrnn.utils.ragged import offsets_of, parts_of

_LEAST = 1e-12  # probability of what no tagger expects


def predict_together(taggers, X, weights=None):
    """Return the labels of elements by the mean of the probabilities that several taggers give them.

    Taggers of different kinds err in different places: a `CRFTagger` and an `RNNTagger` together find more entities
    than either. Of all sequences of labels that the scheme of y allows, this returns the one with the largest product
    of mean probabilities.

    Parameters
    ----------
    taggers : list of (CRFTagger or RNNTagger)
        Fitted, with the same ``classes_``.
    X : as in `fit` of all taggers
        Texts are cut by the tokenizer of the first tagger.
    weights : list of float or None, default=None
        Weight of each tagger; None gives all the same.

    Returns
    -------
    list of (list of label, or list of (begin, end, label) for texts)

    Raises
    ------
    ValueError
        The taggers have different classes, or there is no weight for each.

    Examples
    --------
    >>> from fastrnn import CRFTagger, RNNTagger
    >>> from fastrnn.tagging import predict_together
    >>> X, y = [["Ann", "left"], ["Bob", "Lee", "left"]] * 5, [["B-PER", "O"], ["B-PER", "I-PER", "O"]] * 5
    >>> taggers = [CRFTagger().fit(X, y), RNNTagger(hidden_size=8, random_state=0).fit(X, y)]
    >>> predict_together(taggers, [["Bob", "Lee"]])
    [['B-PER', 'I-PER']]
    """
    taggers = list(taggers)
    weights = np.ones(len(taggers)) if weights is None else np.asarray(weights, np.float64)
    if not taggers or weights.shape != (len(taggers),) or not (weights >= 0).all() or not weights.any():
        raise ValueError(
            f"weights must be a number of at least 0 for each of {len(taggers)} taggers, at least one, not all of them "
            f"0, got {shown(weights.tolist())}."
        )
    for tagger in taggers:
        check_fitted(tagger, "classes_")
    classes = taggers[0].classes_.tolist()
    for tagger in taggers:
        if tagger.classes_.tolist() != classes or tagger._target.kind != "tags":
            raise ValueError(
                f"taggers must have one label of the same classes for each element, got {shown(classes)} and "
                f"{shown(tagger.classes_.tolist())}."
            )
    X = taggers[0]._cut(X)
    labels = _best_labels(taggers, X, weights / weights.sum(), classes)
    return X.spans(labels) if taggers[0].input == "text" else labels


def _best_labels(taggers, X, weights, classes):
    """Return the best allowed labels by the mean of probabilities."""
    found = [tagger.predict_proba(X) for tagger in taggers]
    offsets = offsets_of([len(part) for part in found[0]])
    mean = sum(weight * np.concatenate([np.empty((0, len(classes))), *parts])
               for weight, parts in zip(weights, found, strict=True))  # fmt: skip
    start, follows, end = allowed_scores(allowed(classes, taggers[0]._target.scheme_of_y))
    paths, most = np.empty(len(mean), np.int32), int(np.diff(offsets).max(initial=0))
    find_paths(paths, np.log(np.maximum(mean, _LEAST)), offsets, follows, start, end, most, 0, len(offsets) - 1)
    return parts_of([classes[k] for k in paths.tolist()], offsets)
