"""The one training loop: epochs, clipping, a learning rate that decays on a plateau, early stopping, interrupts."""

import logging
import math
import time
import warnings
from typing import NamedTuple

from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from fastrnn.kernels.clipping import clip_grad_norm

_LOGGER = logging.getLogger(__name__)

PLATEAU_FACTOR = 0.25  # what the learning rate is multiplied with after an epoch without improvement


class NonFiniteLossError(ArithmeticError):
    """The loss, or the norm of its gradient, is infinite or not a number."""


class History(NamedTuple):
    """What came of a training.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss of each finished epoch.
    validation_scores : list of float
        Score of each finished epoch; empty without validation.
    """

    loss_curve: list
    validation_scores: list


def train(network, optimizer, epochs, *, max_iter, clip_norm=None, validate=None, n_iter_no_change=None, tol=1e-3,
          progress=False, name="fit"):  # fmt: skip
    """Train a network, and leave it with its best weights.

    With `validate`, these are the weights after the epoch with the highest score, otherwise those after the last epoch.
    An interrupt (Ctrl-C) ends the training with the weights of the finished epochs and a warning; if none is finished,
    it passes through and the weights are as before. A loss that is not finite ends the training with the weights of the
    finished epochs and a warning.

    Parameters
    ----------
    network : object
        Has ``parameters`` and ``grads``, dicts of arrays; ``sparse_rows()``, the rows of a gradient that are not zero,
        for those parameters that have few; and ``train_step(batch)``, which sets the gradients of a batch and returns
        its mean loss and how many elements that is the mean of.
    optimizer : Optimizer
    epochs : callable
        Called for each epoch; returns its batches as a list or another sized iterable.
    max_iter : int
        Number of epochs.
    clip_norm : float or None, default=None
        Largest global norm of the gradient (Pascanu et al. 2013); None does not clip.
    validate : callable or None, default=None
        Returns a score of the network, higher is better.
    n_iter_no_change : int or None, default=None
        Epochs in a row without an improvement of more than `tol` after which the training stops; None never stops.
        After each of them the learning rate is multiplied with `PLATEAU_FACTOR`.
    tol : float, default=1e-3
    progress : bool, default=False
        Whether to show a bar on stderr, if that is a terminal.
    name : str, default="fit"
        What the bar says.

    Returns
    -------
    History
    """
    history = History([], [])
    kept = _copy(network.parameters)
    best, reference, waited = -math.inf, -math.inf, 0
    bar = tqdm(total=None, desc=name, unit="step", disable=None if progress else True, leave=False)
    try:
        for epoch in range(max_iter):
            loss = _run_epoch(network, optimizer, epochs(), clip_norm, bar, max_iter)
            score = -loss if validate is None else validate()
            if not math.isfinite(score):
                raise NonFiniteLossError
            history.loss_curve.append(loss)
            if validate is not None:
                history.validation_scores.append(score)
            _LOGGER.info("%s: epoch %d, loss %.4f, score %.4f", name, epoch + 1, loss, score)
            bar.set_postfix(loss=f"{loss:.3f}", **({} if validate is None else {"valid": f"{-score:.3f}"}))
            if validate is None or score > best:
                best = score
                _copy(network.parameters, kept)
            if score > reference + tol:
                reference, waited = score, 0
            else:
                waited += 1
                optimizer.learning_rate *= PLATEAU_FACTOR
                if n_iter_no_change is not None and waited >= n_iter_no_change:
                    break
    except KeyboardInterrupt:
        _copy(kept, network.parameters)
        if not history.loss_curve:
            raise
        warnings.warn(
            f"The training was interrupted in epoch {epoch + 1}: the weights of the finished epochs are kept.",
            ConvergenceWarning,
            stacklevel=4,
        )
    except NonFiniteLossError:
        warnings.warn(
            f"The loss became infinite or NaN in epoch {epoch + 1}: the training stops with the weights of the epochs "
            f"before. A smaller learning_rate_init (now {optimizer.learning_rate:g}) or clip_norm may help.",
            ConvergenceWarning,
            stacklevel=4,
        )
    finally:
        bar.close()
        _copy(kept, network.parameters)
    return history


def _run_epoch(network, optimizer, batches, clip_norm, bar, max_iter):
    """Take a step for every batch; return the mean loss."""
    total, count, begin = 0.0, 0, time.perf_counter()
    if bar.total is None:
        bar.reset(total=max_iter * len(batches))
    for batch in batches:
        loss, size = network.train_step(batch)
        rows = network.sparse_rows()
        norm = loss if clip_norm is None else clip_grad_norm(network.grads, clip_norm, rows)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NonFiniteLossError
        optimizer.step(network.parameters, network.grads, rows)
        total += loss * size
        count += size
        bar.update()
    _LOGGER.debug("%d elements in %.2f s", count, time.perf_counter() - begin)
    return total / max(count, 1)


def _copy(source, target=None):
    """Copy a dict of arrays, into the arrays of `target` if there is one."""
    if target is None:
        return {name: array.copy() for name, array in source.items()}
    for name, array in source.items():
        target[name][...] = array
    return target
