"""The one training loop: epochs and steps, validation, early stopping, interrupts, checkpoints."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastrnn.training.arrays import all_finite, assign_all, copied, on_host
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.checkpoint import Checkpoint, generator_state, set_generator_state
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.history import EpochReport, History
from fastrnn.training.schedule import Schedule
from fastrnn.utils.checks import warn_caller
from fastrnn.utils.progress import Progress

_CHECKED_BATCHES = 32  # of the training data, at most, for which the weights that are kept must give finite outputs


class DivergenceError(ValueError):
    """A training reached infinite or NaN losses, gradients, weights or outputs before it had usable weights."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `train`.

    Parameters
    ----------
    max_iter : int
        Number of epochs.
    clip_norm : float or None, default=None
        Largest global norm of the gradient (Pascanu et al. 2013); None does not clip.
    accumulate_steps : int, default=1
        Batches whose mean gradient makes one step.
    schedule : {"plateau", "cosine", "constant"}, default="plateau"
    warmup : int, default=0
        See `Schedule`; the optimizer's learning rate is the one at the beginning.
    rate_factor : callable or None, default=None
        Returns a factor of the learning rate for a batch, the first one of a step.
    average : WeightAverage or None, default=None
        Its weights are validated and kept instead of the last ones.
    validate : callable or None, default=None
        Returns a score of the network; higher is better.
    n_iter_no_change : int or None, default=None
        Epochs in a row without an improvement of more than `tol` after which the training stops; None never stops.
    tol : float, default=1e-3
    is_finite : callable or None, default=None
        Takes a number n; returns whether the network's outputs are finite for the n batches of the training data with
        the highest risk.
    restore_on_error : bool, default=False
        Whether an error leaves network, optimizer and random state as they were: those of a fitted model.
    checkpoint : Checkpoint or None, default=None
        File that the training writes, and from which an interrupted training resumes.
    random_state : RandomState instance or None, default=None
        The source that epochs are drawn from, for the checkpoint.
    verbose : int, default=0
        1 shows a bar, or a line an epoch where there is no bar; see `fastrnn.utils.progress.Progress`.
    name : str, default="fit"
        The name of the training in bar and lines.
    unit : str, default="elements"
        The name of the elements that the loss is a mean of.
    describe : callable or None, default=None
        Returns the figures of a score: a dict of str to str.
    """

    max_iter: int
    clip_norm: float | None = None
    accumulate_steps: int = 1
    schedule: str = "plateau"
    warmup: int = 0
    rate_factor: Callable | None = None
    average: WeightAverage | None = None
    validate: Callable | None = None
    n_iter_no_change: int | None = None
    tol: float = 1e-3
    is_finite: Callable | None = None
    restore_on_error: bool = False
    checkpoint: Checkpoint | None = None
    random_state: np.random.RandomState | None = None
    verbose: int = 0
    name: str = "fit"
    unit: str = "elements"
    describe: Callable | None = None


def train(network, optimizer, epochs, options):
    """Train a network, and leave it with its best weights.

    With `Options.validate`, these are the weights after the epoch with the highest score; otherwise those after the
    last epoch. An interrupt (Ctrl-C) ends the training with the weights of the finished epochs and a warning; in the
    first epoch it is raised. A loss, gradient, weight or output that is not finite does the same.

    Parameters
    ----------
    network : Network
        Or any object with ``backend``, ``parameters`` and ``grads`` (dicts of arrays), ``make_writable()``,
        ``sparse_rows()`` and ``train_step(batch)``; for `Options.accumulate_steps` with ``train_step(batch, scale,
        clear)``; for `Options.restore_on_error` and `Options.checkpoint` with ``training_state()`` and
        ``set_training_state(content, arrays)``. See `fastrnn.networks.base.Network`.
    optimizer : Optimizer
    epochs : callable
        Called for each epoch; returns its batches as a list or another sized iterable.
    options : Options

    Returns
    -------
    History

    Raises
    ------
    DivergenceError
        The training diverged in its first epoch, or the best weights give outputs that are not finite.

    Warns
    -----
    ConvergenceWarning
        The training was interrupted or diverged after its first epoch.
    """
    network.make_writable()
    run = _Run(network, optimizer, epochs, options)
    try:
        try:
            with np.errstate(all="ignore"), Progress(options.name, options.verbose) as progress:
                run.restore(progress)
                while not run.is_over:
                    run.run_epoch(progress)
        except (KeyboardInterrupt, DivergenceError) as stop:
            run.stop_early(stop)
        run.finish()
    except BaseException:
        run.undo()
        raise
    return History(run.state.loss_curve, run.state.validation_scores)


@dataclasses.dataclass
class _State:
    """Progress of a training in plain values, a part of a checkpoint."""

    epoch: int = 0  # finished epochs
    step: int = 0  # finished steps of the current epoch, their loss, and the number of elements in that sum
    loss: float = 0.0
    count: int = 0
    best: float = -math.inf  # score of the weights that are kept
    reference: float = -math.inf  # score that an improvement is measured against
    waited: int = 0  # epochs without an improvement
    stopped: bool = False
    loss_curve: list = dataclasses.field(default_factory=list)
    validation_scores: list = dataclasses.field(default_factory=list)


class _Snapshot:
    """Copy of everything that a training changes; `weights` is a copy that the caller made."""

    def __init__(self, weights, network, optimizer, random_state):
        self.weights, self.optimizer = weights, optimizer.state_dict()
        self.network, self.random_state = network.training_state(), generator_state(random_state)

    def restore(self, network, optimizer, random_state):
        assign_all(network.parameters, self.weights, network.backend)
        network.set_training_state(*self.network)
        optimizer.load_state_dict(self.optimizer)
        set_generator_state(random_state, self.random_state)


class _Run:
    """A training under way."""

    def __init__(self, network, optimizer, epochs, options):
        self.network, self.optimizer, self.epochs, self.options = network, optimizer, epochs, options
        self.schedule = Schedule(options.schedule, optimizer.learning_rate, options.warmup)
        self.state = _State()
        self.kept = copied(network.parameters, network.backend)  # the best weights so far
        self.before = None
        if options.restore_on_error:
            self.before = _Snapshot(self.kept, network, optimizer, options.random_state)
        self.drawn_from = None  # state of the random source at the beginning of the epoch
        self.shown = {}  # figures of the last score

    @property
    def is_over(self):
        return self.state.stopped or self.state.epoch >= self.options.max_iter

    # ---------------------------------------------------------------------------------------------------- one epoch

    def run_epoch(self, progress):
        """Take the steps of an epoch, validate, and show its figures."""
        state, options = self.state, self.options
        report = EpochReport(progress, options.unit, self.shown)
        loss = self._take_steps(report)
        score = self._finish_epoch(loss)
        if options.validate is not None:
            self.shown = (options.describe or _plain_description)(score)
        report.finish(state.epoch, options.max_iter, loss, self.shown)

    def _take_steps(self, report):
        """Take the steps of the epoch that are left; return the mean loss of all its steps."""
        state, options, checkpoint = self.state, self.options, self.options.checkpoint
        self.drawn_from = generator_state(options.random_state)
        batches = self.epochs()
        steps = -(-len(batches) // options.accumulate_steps)
        rest = itertools.islice(batches, state.step * options.accumulate_steps, None)
        report.begin(options.max_iter * steps, state.epoch * steps + state.step)
        for step in range(state.step, steps):
            share = (state.epoch + step / steps) / options.max_iter
            loss, size = self._step(list(itertools.islice(rest, options.accumulate_steps)), share)
            state.loss += loss
            state.count += size
            state.step += 1
            report.update(size, state.loss / state.count if state.count else 0.0)
            if checkpoint is not None and checkpoint.is_due():
                self._save()
        return state.loss / max(state.count, 1)

    def _step(self, batches, share):
        """Take a step along the mean gradient of batches; return the sum of the losses of elements, and their number.

        `share` is the fraction of the training that is done.
        """
        network, optimizer, options = self.network, self.optimizer, self.options
        total, count = self._compute_gradients(batches)
        parameters, grads, rows = network.parameters, network.grads, network.sparse_rows()
        if options.clip_norm is not None:
            norm = clip_grad_norm(grads, options.clip_norm, rows, network.backend)
            if not math.isfinite(norm):
                raise DivergenceError("The gradient became infinite or NaN")
        factor = 1.0 if options.rate_factor is None else options.rate_factor(batches[0])
        optimizer.learning_rate = factor * self.schedule.at(optimizer.n_steps, share)
        optimizer.step(parameters, grads, rows)
        if options.average is not None:
            options.average.update(parameters)
        return total, count

    def _compute_gradients(self, batches):
        """Compute the mean gradient of batches; return the sum of the losses of elements, and their number."""
        total, count = 0.0, 0
        for k, batch in enumerate(batches):
            accumulation = {"scale": 1 / len(batches), "clear": k == 0} if len(batches) > 1 else {}
            loss, size = self.network.train_step(batch, **accumulation)
            if not math.isfinite(loss):
                raise DivergenceError("The loss became infinite or NaN")
            total += loss * size
            count += size
        return total, count

    # ----------------------------------------------------------------------------------------- the end of an epoch

    def _finish_epoch(self, loss):
        """Validate, keep the best weights, decide whether to continue; return the score."""
        state = self.state
        score = self._validate(loss)
        self._judge(score)
        state.loss_curve.append(loss)
        if self.options.validate is not None:
            state.validation_scores.append(score)
        state.epoch, state.step, state.loss, state.count = state.epoch + 1, 0, 0.0, 0
        if self.options.checkpoint is not None:
            self.drawn_from = generator_state(self.options.random_state)
            self._save()
        return score

    def _validate(self, loss):
        """Return the score of the weights, or of their average, and keep them if they are the best."""
        options, average, parameters = self.options, self.options.average, self.network.parameters
        if average is not None:
            average.exchange(parameters)
        try:
            score = -loss if options.validate is None else options.validate()
            if not math.isfinite(score):
                raise DivergenceError("The loss became infinite or NaN")
            is_usable = all_finite(parameters, self.network.backend)
            if not (is_usable and (options.validate is not None or self._has_finite_outputs())):
                raise DivergenceError("The weights or the outputs became infinite or NaN")
            if options.validate is None or score > self.state.best:
                self.state.best = score
                self._keep(parameters)
        finally:
            if average is not None:
                average.exchange(parameters)
        return score

    def _has_finite_outputs(self):
        """Return whether the outputs for a batch are finite; those of a single epoch are checked in `finish`."""
        return self.options.is_finite is None or self.options.max_iter == 1 or self.options.is_finite(1)

    def _keep(self, parameters):
        """Keep weights: as they are if no further step will change them, otherwise a copy."""
        if self.state.epoch + 1 == self.options.max_iter and self.options.average is None:
            self.kept = parameters
        elif self.before is not None and self.kept is self.before.weights:
            self.kept = copied(parameters, self.network.backend)
        else:
            assign_all(self.kept, parameters, self.network.backend)

    def _judge(self, score):
        """Decide after an epoch whether the rate falls, an average begins, or the training stops."""
        state, options, average = self.state, self.options, self.options.average
        if score > state.reference + options.tol:
            state.reference, state.waited = score, 0
        else:
            state.waited += 1
            self.schedule.stalled()
        is_waiting = average is not None and not average.running
        if is_waiting and average.begin_if_stalled(state.validation_scores, score):
            state.waited = 0
        patience = options.n_iter_no_change
        state.stopped = patience is not None and state.waited >= patience and not is_waiting

    # --------------------------------------------------------------------------------------- the end of the training

    def stop_early(self, stop):
        """Warn that an interrupt or a divergence ends the training; raise it if no epoch is finished."""
        diverged = isinstance(stop, DivergenceError)
        if not self.state.loss_curve:
            if diverged:
                raise DivergenceError(f"{stop} in the first epoch: nothing was learned. {self._advice()}") from None
            raise stop
        epoch = self.state.epoch + 1
        message = f"The training was interrupted in epoch {epoch}: the weights of the finished epochs are kept."
        if diverged:
            self.optimizer.reset()  # its state may hold NaN
            message = f"{stop} in epoch {epoch}: the training stops with the weights of the epochs before."
            message += f" {self._advice()}"
        warn_caller(message, ConvergenceWarning)

    def _advice(self):
        return f"A smaller learning_rate_init (now {self.schedule.rate:g}) or clip_norm may help."

    def finish(self):
        """Give the network the weights that are kept, if it can be used with them."""
        self.optimizer.learning_rate = self.schedule.rate
        assign_all(self.network.parameters, self.kept, self.network.backend)
        if self.options.is_finite is not None and not self.options.is_finite(_CHECKED_BATCHES):
            raise DivergenceError(
                f"With the weights of epoch {self.state.epoch} some outputs are infinite or NaN: nothing was learned. "
                f"{self._advice()}"
            )
        if self.options.checkpoint is not None:
            self.options.checkpoint.close()

    def undo(self):
        """Give the network the weights that are kept; with a snapshot, undo the whole training."""
        assign_all(self.network.parameters, self.kept, self.network.backend)
        if self.before is not None:
            self.before.restore(self.network, self.optimizer, self.options.random_state)

    # --------------------------------------------------------------------------------------------------- checkpoints

    def _save(self):
        """Write a checkpoint."""
        (network, arrays), average = self.network.training_state(), self.options.average
        content = {"done": dataclasses.asdict(self.state), "rate": self.schedule.rate, "network": network,
                   "random_state": self.drawn_from}  # fmt: skip
        groups = {"weights": on_host(self.network.parameters, self.network.backend),
                  "kept": on_host(self.kept, self.network.backend),
                  "network": arrays, "optimizer": self.optimizer.state_dict()}  # fmt: skip
        if average is not None:
            content["average"], groups["average"] = average.state()
        self.options.checkpoint.write(content, groups)

    def restore(self, progress):
        """Resume from the checkpoint, if there is one."""
        network, options, checkpoint = self.network, self.options, self.options.checkpoint
        found = checkpoint and checkpoint.read()
        if found is None:
            return
        content, groups = found
        epochs = content["done"]["epoch"]
        if epochs > options.max_iter:
            raise ValueError(
                f"checkpoint {checkpoint.path} has {epochs} finished epochs, more than max_iter={options.max_iter}: "
                f"set max_iter to at least {epochs}, or remove the file to start over."
            )
        assign_all(network.parameters, groups["weights"], network.backend)
        assign_all(self.kept, groups["kept"], network.backend)
        drawn = content["network"] or network.training_state()[0]  # older files hold None without draws
        network.set_training_state(drawn, groups.get("network", {}))
        self.optimizer.load_state_dict(groups["optimizer"])
        if options.average is not None:
            options.average.set_state(content["average"], groups.get("average", {}))
        set_generator_state(options.random_state, content["random_state"])
        self.schedule.rate = content["rate"]
        self.state = _State(**content["done"])
        progress.line(f"continues from {checkpoint.path}: epoch {epochs + 1}, step {self.state.step + 1}")


def _plain_description(score):
    return {"valid": f"{-score:.3f}"}
