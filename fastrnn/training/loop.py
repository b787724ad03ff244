"""The one training loop: epochs, clipping, learning rates, averages, early stopping, interrupts, checkpoints."""

import dataclasses
import itertools
import math
import time
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastrnn.kernels.arrays import is_finite
from fastrnn.training.checkpoint import generator_state, set_generator_state
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.utils.checks import check_choice, warn_caller
from fastrnn.utils.progress import Progress

PLATEAU_FACTOR = 0.25  # what the learning rate is multiplied with after an epoch without improvement
SCHEDULES = ("plateau", "cosine", "constant")
_CHECKED_BATCHES = 32  # of the training data, at most, whose outputs with the weights that are kept have to be finite


class DivergenceError(ValueError):
    """A training came to infinite or NaN losses, gradients, weights or outputs, and left nothing to be used."""


class History(NamedTuple):
    """Course of a training, epoch by epoch.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss of each finished epoch.
    validation_scores : list of float
        Score of each finished epoch; empty without validation.
    """

    loss_curve: list
    validation_scores: list


class Schedule:
    """The learning rate in the course of a training.

    Parameters
    ----------
    kind : {"plateau", "cosine", "constant"}
        "plateau": multiplied with `PLATEAU_FACTOR` after each epoch without improvement. "cosine": down to 0 along half
        a cosine wave (Loshchilov and Hutter 2017). "constant": as it is.
    rate : float
        The learning rate at the beginning, or after the warm-up.
    warmup : int, default=0
        Steps in which the rate rises to this in a straight line.

    Examples
    --------
    >>> schedule = Schedule("cosine", 0.1, warmup=4)
    >>> [round(schedule.at(step, step / 16), 3) for step in (0, 3, 8, 16)]
    [0.025, 0.092, 0.05, 0.0]
    """

    def __init__(self, kind, rate, warmup=0):
        check_choice("schedule", kind, SCHEDULES)
        self.kind, self.rate, self.warmup = kind, rate, warmup

    def at(self, step, share):
        """Return the rate of a step, the first of which is 0, when this share of the training is done."""
        factor = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.kind == "cosine":
            factor *= (1 + math.cos(math.pi * share)) / 2
        return self.rate * factor

    def stalled(self):
        """Take note of an epoch without improvement."""
        if self.kind == "plateau":
            self.rate *= PLATEAU_FACTOR


def train(network, optimizer, epochs, *, max_iter, clip_norm=None, validate=None, n_iter_no_change=None, tol=1e-3,
          schedule="plateau", warmup=0, accumulate_steps=1, rate_factor=None, average=None, is_finite=None,
          going_on=False, checkpoint=None, random_state=None, verbose=0, name="fit", unit="elements",
          describe=None):  # fmt: skip
    """Train a network, and leave it with its best weights.

    With `validate`, these are the weights after the epoch with the highest score, otherwise those after the last epoch.
    An interrupt (Ctrl-C) ends the training with the weights of the finished epochs and a warning; if none is finished,
    it passes through. A loss, gradient, weight or output that is not finite ends it likewise; if no epoch is finished,
    or if the best weights give outputs that are not finite, with an error.

    Parameters
    ----------
    network : object
        Has ``parameters`` and ``grads``, dicts of arrays, and ``make_writable()``, which copies those that are
        read-only; ``sparse_rows()``, the rows of a gradient that are not zero, for those parameters that have few; and
        ``train_step(batch)``, which sets the gradients of a batch and returns its mean loss and how many elements that
        is the mean of. For `accumulate_steps` it also takes ``scale``, a factor of the gradients, and ``clear``,
        whether they are zeroed before. For `going_on` and a `checkpoint` it has ``training_state()`` and
        ``set_training_state(content, arrays)``: what a step depends on besides parameters.
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
    tol : float, default=1e-3
    schedule : {"plateau", "cosine", "constant"}, default="plateau"
    warmup : int, default=0
        See `Schedule`; the optimizer's learning rate is the one at the beginning.
    accumulate_steps : int, default=1
        Batches whose mean gradient makes one step.
    rate_factor : callable or None, default=None
        Returns a factor of the learning rate for a batch (with several batches a step, the first).
    average : WeightAverage or None, default=None
        Its weights are validated and kept instead of the last ones.
    is_finite : callable or None, default=None
        Takes a number n, and returns whether the outputs of the network are finite for n batches of the training data,
        those for which they are the least likely to be.
    going_on : bool, default=False
        Whether an error has to leave network, optimizer and random state as they were: those of a fitted model.
    checkpoint : Checkpoint or None, default=None
        Where an interrupted training goes on from, and what it writes.
    random_state : RandomState instance or None, default=None
        What `epochs` draws from, for the checkpoint.
    verbose : int, default=0
        1 shows a bar, or where there is none a line an epoch, see `fastrnn.utils.progress.Progress`.
    name : str, default="fit"
        What they say.
    unit : str, default="elements"
        What the loss is a mean of.
    describe : callable or None, default=None
        Makes of a score a dict of str to str, for the bar.

    Returns
    -------
    History
    """
    network.make_writable()
    run = _Run(network, optimizer, epochs, Schedule(schedule, optimizer.learning_rate, warmup), max_iter, average)
    run.clip_norm, run.accumulate_steps, run.rate_factor = clip_norm, accumulate_steps, rate_factor
    run.is_finite, run.checkpoint, run.random_state = is_finite, checkpoint, random_state
    run.before = _Before(run.kept, network, optimizer, random_state) if going_on else None
    done = run.done
    try:
        try:
            with np.errstate(all="ignore"), Progress(name, verbose) as progress:
                run.restore(progress)
                while done.epoch < max_iter and not done.stopped:
                    figures = _Figures(progress, unit, run.shown)
                    loss = run.epoch(figures)
                    score = run.finish_epoch(loss, validate, n_iter_no_change, tol)
                    if validate is not None:
                        run.shown = (describe or _plain_description)(score)
                    figures.finish(done.epoch, max_iter, loss, run.shown)
        except (KeyboardInterrupt, DivergenceError) as stop:
            run.stop_early(stop)
        run.keep_best()
        if checkpoint is not None:
            checkpoint.close()
    except BaseException:
        _copy(run.kept, network.parameters)
        if run.before is not None:
            run.before.restore(network, optimizer, random_state)
        raise
    return History(done.loss_curve, done.validation_scores)


@dataclasses.dataclass
class _Done:
    """How far a training has come, in plain values."""

    epoch: int = 0  # finished epochs
    step: int = 0  # finished steps of the epoch under way, its loss, and how many elements that is the mean of
    loss: float = 0.0
    count: int = 0
    best: float = -math.inf
    reference: float = -math.inf  # the score that an improvement is measured against
    waited: int = 0
    stopped: bool = False
    loss_curve: list = dataclasses.field(default_factory=list)
    validation_scores: list = dataclasses.field(default_factory=list)


class _Before:
    """All that a training changes, as it was."""

    def __init__(self, weights, network, optimizer, random_state):
        self.weights, self.optimizer = weights, optimizer.state_dict()
        self.network, self.random_state = network.training_state(), generator_state(random_state)

    def restore(self, network, optimizer, random_state):
        _copy(self.weights, network.parameters)
        network.set_training_state(*self.network)
        optimizer.load_state_dict(self.optimizer)
        set_generator_state(random_state, self.random_state)


class _Run:
    """A training under way."""

    def __init__(self, network, optimizer, epochs, schedule, max_iter, average):
        self.network, self.optimizer, self.epochs, self.schedule = network, optimizer, epochs, schedule
        self.max_iter, self.average = max_iter, average
        self.kept = _copy(network.parameters)
        self.done = _Done()
        self.drawn_from = None  # state of `random_state` at the beginning of the epoch
        self.shown = {}

    def epoch(self, figures):
        """Take the steps of an epoch that are left; return its mean loss."""
        done = self.done
        self.drawn_from = generator_state(self.random_state)
        batches = self.epochs()
        steps = -(-len(batches) // self.accumulate_steps)
        rest = itertools.islice(batches, done.step * self.accumulate_steps, None)
        figures.begin(self.max_iter * steps, done.epoch * steps + done.step)
        for step in range(done.step, steps):
            share = (done.epoch + step / steps) / self.max_iter
            loss, size = self._step(list(itertools.islice(rest, self.accumulate_steps)), share)
            done.loss += loss
            done.count += size
            done.step += 1
            figures.update(size, done.loss / done.count if done.count else 0.0)
            if self.checkpoint is not None and self.checkpoint.is_due():
                self.save()
        return done.loss / max(done.count, 1)

    def _step(self, batches, share):
        """Take a step; return the sum of the losses of its elements, and their number."""
        network, optimizer, total, count = self.network, self.optimizer, 0.0, 0
        for k, batch in enumerate(batches):
            options = {"scale": 1 / len(batches), "clear": k == 0} if len(batches) > 1 else {}
            loss, size = network.train_step(batch, **options)
            if not math.isfinite(loss):
                raise DivergenceError("The loss became infinite or NaN")
            total += loss * size
            count += size
        rows = network.sparse_rows()
        if self.clip_norm is not None and not math.isfinite(clip_grad_norm(network.grads, self.clip_norm, rows)):
            raise DivergenceError("The gradient became infinite or NaN")
        factor = 1.0 if self.rate_factor is None else self.rate_factor(batches[0])
        optimizer.learning_rate = factor * self.schedule.at(optimizer.n_steps, share)
        optimizer.step(network.parameters, network.grads, rows)
        if self.average is not None:
            self.average.update(network.parameters)
        return total, count

    def finish_epoch(self, loss, validate, n_iter_no_change, tol):
        """Validate, keep the best weights, decide how to go on; return the score."""
        done, average, parameters = self.done, self.average, self.network.parameters
        if average is not None:
            average.exchange(parameters)
        try:
            score = -loss if validate is None else validate()
            if not math.isfinite(score):
                raise DivergenceError("The loss became infinite or NaN")
            if not (_all_finite(parameters) and (validate is not None or self._has_finite_outputs())):
                raise DivergenceError("The weights or the outputs became infinite or NaN")
            if validate is None or score > done.best:
                done.best = score
                self._keep(parameters)
        finally:
            if average is not None:
                average.exchange(parameters)
        if score > done.reference + tol:
            done.reference, done.waited = score, 0
        else:
            done.waited += 1
            self.schedule.stalled()
        waiting = average is not None and not average.running
        if waiting and average.begin_if_stalled(done.validation_scores, score):
            done.waited = 0
        done.stopped = n_iter_no_change is not None and done.waited >= n_iter_no_change and not waiting
        done.loss_curve.append(loss)
        if validate is not None:
            done.validation_scores.append(score)
        done.epoch, done.step, done.loss, done.count = done.epoch + 1, 0, 0.0, 0
        if self.checkpoint is not None:
            self.drawn_from = generator_state(self.random_state)
            self.save()
        return score

    def _has_finite_outputs(self):
        """Return whether the outputs for a batch are finite; a single epoch is checked when it is kept."""
        return self.is_finite is None or self.max_iter == 1 or self.is_finite(1)

    def _keep(self, parameters):
        """Keep weights: as they are, if no further step will change them, or a copy."""
        if self.done.epoch + 1 == self.max_iter and self.average is None:
            self.kept = parameters
        elif self.before is not None and self.kept is self.before.weights:
            self.kept = _copy(parameters)
        else:
            _copy(parameters, self.kept)

    def stop_early(self, stop):
        """Warn that the training ends with the epochs before, because of an interrupt or because it diverged."""
        diverged = isinstance(stop, DivergenceError)
        if not self.done.loss_curve:
            if diverged:
                raise DivergenceError(f"{stop} in the first epoch: nothing was learned. {self._advice()}") from None
            raise stop
        epoch = self.done.epoch + 1
        message = f"The training was interrupted in epoch {epoch}: the weights of the finished epochs are kept."
        if diverged:
            self.optimizer.reset()  # its state may hold NaN
            message = f"{stop} in epoch {epoch}: the training stops with the weights of the epochs before."
            message += f" {self._advice()}"
        warn_caller(message, ConvergenceWarning)

    def _advice(self):
        return f"A smaller learning_rate_init (now {self.schedule.rate:g}) or clip_norm may help."

    def keep_best(self):
        """Give the network the weights that are kept, if it can be used with them."""
        self.optimizer.learning_rate = self.schedule.rate
        _copy(self.kept, self.network.parameters)
        if self.is_finite is not None and not self.is_finite(_CHECKED_BATCHES):
            raise DivergenceError(
                f"With the weights of epoch {self.done.epoch} some outputs are infinite or NaN: nothing was learned. "
                f"{self._advice()}"
            )

    def save(self):
        """Write a checkpoint."""
        content, arrays = self.network.training_state()
        content = {"done": dataclasses.asdict(self.done), "rate": self.schedule.rate, "network": content,
                   "random_state": self.drawn_from}  # fmt: skip
        groups = {"weights": self.network.parameters, "kept": self.kept, "network": arrays,
                  "optimizer": self.optimizer.state_dict()}  # fmt: skip
        if self.average is not None:
            content["average"], groups["average"] = self.average.state()
        self.checkpoint.write(content, groups)

    def restore(self, progress):
        """Go on where the checkpoint is, if there is one."""
        found = self.checkpoint and self.checkpoint.read()
        if found is None:
            return
        content, groups = found
        epochs = content["done"]["epoch"]
        if epochs > self.max_iter:
            raise ValueError(
                f"checkpoint {self.checkpoint.path} has {epochs} finished epochs, more than max_iter={self.max_iter}: "
                f"set max_iter to at least {epochs}, or remove the file to begin anew."
            )
        _copy(groups["weights"], self.network.parameters)
        _copy(groups["kept"], self.kept)
        self.network.set_training_state(content["network"], groups.get("network", {}))
        self.optimizer.load_state_dict(groups["optimizer"])
        if self.average is not None:
            self.average.set_state(content["average"], groups.get("average", {}))
        set_generator_state(self.random_state, content["random_state"])
        self.schedule.rate = content["rate"]
        for field, value in content["done"].items():
            setattr(self.done, field, value)
        progress.line(f"goes on from {self.checkpoint.path}: epoch {epochs + 1}, step {self.done.step + 1}")


class _Figures:
    """Figures that are shown of an epoch: the loss, elements a second, and the last score (`shown`)."""

    def __init__(self, progress, unit, shown):
        self.progress, self.unit, self.shown = progress, unit, shown
        self.count, self.start = 0, time.perf_counter()

    def begin(self, total, done):
        """Begin when `done` steps of `total` are done, as far as is known."""
        self.progress.begin(total, done)

    def update(self, size, loss):
        """Count a step of `size` elements."""
        self.count += size
        speed = f"{self.unit}/s"
        self.progress.update(1, lambda: {"loss": f"{loss:.3f}", **self.shown, speed: f"{self._speed():,.0f}"})

    def finish(self, epoch, max_iter, loss, shown):
        """Write the line of a finished epoch."""
        seconds = time.perf_counter() - self.start
        parts = [f"loss {loss:.4f}", *(f"{name} {figure}" for name, figure in shown.items())]
        self.progress.line(
            f"epoch {epoch} of {max_iter}, {', '.join(parts)}, {self._speed():,.0f} {self.unit}/s, {seconds:.1f} s"
        )

    def _speed(self):
        return self.count / max(time.perf_counter() - self.start, 1e-9)


def _plain_description(score):
    return {"valid": f"{-score:.3f}"}


def _all_finite(arrays):
    """Return whether a dict of arrays holds finite numbers only."""
    return all(is_finite(array) for array in arrays.values())


def _copy(source, target=None):
    """Copy a dict of arrays, into the arrays of `target` if there is one."""
    if target is None:
        return {name: array.copy() for name, array in source.items()}
    for name, array in source.items():
        if target[name] is not array:
            target[name][...] = array
    return target
