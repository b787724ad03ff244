"""Targets by the mean of the probabilities that several estimators give."""

import numpy as np

from fastrnn.translation.searching import candidates_of
from fastrnn.utils.checks import check_fitted, shown
from fastrnn.utils.use import Use


def predict_together(writers, X, weights=None, *, beam_width=5, **options):
    """Return the most probable target of each source by the mean of the probabilities that several models give.

    Models that were trained from different random states make different mistakes: their mean is usually better than
    each of them.

    Parameters
    ----------
    writers : list of estimators that write sequences
        Fitted. All must have the same target vocabulary, as models have that were fitted to the same targets.
    X : as in `fit` of all of them
    weights : list of float or None, default=None
        Weight of each model in the mean; None gives all the same.
    beam_width, **options
        See `RNNTranslator.predict`.

    Returns
    -------
    list of str, list of list of str or list of list of int
        Of the kind of the targets of the training. The first model's attention replaces ``<unk>``.

    Raises
    ------
    ValueError
        The models have different tokens of targets, or there is no weight for each.

    Examples
    --------
    >>> from fastrnn import RNNTranslator
    >>> from fastrnn.translation import predict_together
    >>> X, y = ["one two", "two one", "two two", "one"], ["1 2", "2 1", "2 2", "1"]
    >>> models = [
    ...     RNNTranslator(hidden_size=16, learning_rate_init=0.01, max_iter=80, random_state=i).fit(X, y)
    ...     for i in range(2)
    ... ]
    >>> predict_together(models, ["two one"])
    ['2 1']
    """
    if not isinstance(writers, list | tuple) or not all(hasattr(writer, "_read_once") for writer in writers):
        raise ValueError(f"writers must be a list of estimators that write sequences, got {shown(writers)}.")
    weights = np.ones(len(writers)) if weights is None else np.asarray(weights, np.float64)
    if not writers or weights.shape != (len(writers),) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(
            f"weights must be a number of at least 0 for each of {len(writers)} models, at least one, not all of them "
            f"0, got {shown(weights.tolist())}."
        )
    for writer in writers:
        check_fitted(writer, "network_")
        if writer.target_vocabulary_.tokens != writers[0].target_vocabulary_.tokens:
            raise ValueError("writers must have the same tokens of targets, got models with different ones.")
    first = writers[0]
    X = first._read_once(X)
    with Use((), tuple(writers), "predict_together"):
        sources = [writer._read(X) for writer in writers]
        shares = (weights / weights.sum()).tolist()
        found = candidates_of(writers, sources, shares, 1, beam_width, **options)
        ids = [part[0].ids if part else [] for part in found]
        return first._target.decode(first._found_tokens(X, sources[0], ids))
