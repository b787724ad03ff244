"""Checkpoints: files from which an interrupted training resumes, to the same weights bit for bit."""

import contextlib
import inspect
import json
import numbers
import os
import pathlib
import time

import numpy as np

from fastrnn.persistence import load_model, save_model
from fastrnn.text.subwords import tokenizer_to_plain
from fastrnn.utils.checks import shown, warn_caller
from fastrnn.utils.files import remove_abandoned, unwritten

# Parameters that may differ when a training resumes: results depend on them in their last digits at most, or a digest
# covers them.
_FREE_PARAMETERS = {"device", "encoding", "n_jobs", "precision", "verbose", "warm_start", "max_iter", "vocabulary",
                    "embedding"}  # fmt: skip
# Parameters with which a training draws masks, unless they are 0 or None.
_MASKED = ("dropout", "input_dropout", "output_dropout", "embedding_dropout", "recurrent_dropout", "weight_dropout",
           "zoneout", "recipe")  # fmt: skip


class Checkpoint:
    """A file with everything that a training depends on.

    Parameters
    ----------
    path : str or os.PathLike
    name : str
        The class of the estimator that is trained.
    identity : dict of str to object
        The training's parameters, as plain values. A file with others is refused.
    minutes : float or None, default=None
        Time between two checkpoints within an epoch; None writes after each epoch only.
    defaults : dict of str to object, default=None
        Values of parameters in files of versions that did not have them.

    Raises
    ------
    ValueError
        `path` is not a path, or `minutes` is not a number.
    FileNotFoundError
        The folder does not exist.
    """

    def __init__(self, path, name, identity, minutes=None, defaults=None):
        if not isinstance(path, str | os.PathLike):
            raise ValueError(f"checkpoint must be None or the path of a file, got {shown(path)}.")
        if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, numbers.Real) or minutes < 0):
            raise ValueError(f"checkpoint_minutes must be None or a number of at least 0, got {shown(minutes)}.")
        self.path = pathlib.Path(path)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"checkpoint must lie in a folder that exists, got {shown(str(path))}.")
        with contextlib.suppress(OSError):  # a folder that others own
            remove_abandoned(self.path)
        self.name, self.identity, self.minutes = f"{name} checkpoint", identity, minutes
        self.digests, self.defaults = {}, defaults or {}
        self.written, self.failure = time.monotonic(), None
        self._found = self._began = None
        self._has_warned = False

    def begin(self, random_state):
        """Set a random state to where the training began; a new training notes where it begins."""
        found = self._load()
        if found is not None and found[1].get("began"):
            set_generator_state(random_state, found[1]["began"])
        self._began = generator_state(random_state)

    def identify(self, **digests):
        """Add digests of the data to the identity."""
        self.digests.update(digests)

    def is_due(self):
        """Return whether it is time to write within an epoch."""
        return self.minutes is not None and time.monotonic() - self.written >= 60 * self.minutes

    def write(self, content, groups):
        """Replace the file, whole or not at all; warn if that fails.

        Parameters
        ----------
        content : dict of str to object
            Plain values.
        groups : dict of str to (dict of str to ndarray)
            Arrays by name: weights, state of the optimizer and so on.

        Warns
        -----
        RuntimeWarning
            The file cannot be written; the next failures are silent.
        """
        arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
        failure = None
        try:
            save_model(self.path, self.name, self._identity(), {**content, "began": self._began}, arrays)
        except OSError as error:
            failure = unwritten(self.path, error)
            if not self._has_warned:
                self._has_warned = True
                warn_caller(f"checkpoint {failure}. The training continues, and tries again later.", RuntimeWarning)
        self.written, self.failure = time.monotonic(), failure

    def close(self):
        """Warn if the end of the training could not be written."""
        if self.failure is not None:
            warn_caller(
                f"The training has ended, and the model can be used and saved, but its checkpoint "
                f"{self.failure}.", RuntimeWarning
            )  # fmt: skip

    def _identity(self):
        return {**self.identity, **self.digests}

    def _load(self):
        """Return identity, content and arrays of the file, read once; None if there is no file."""
        if self._found is None and self.path.exists():
            self._found = load_model(self.path, self.name)
        return self._found

    def read(self):
        """Return the content and the groups of arrays that were written last, or None if there is no file.

        Raises
        ------
        ValueError
            The file is damaged, is not a checkpoint, or is that of another training: the message says what differs.
        """
        found = self._load()
        if found is None:
            return None
        there, content, arrays = found
        there = {**self.defaults, **there}
        self._found, here = None, json.loads(json.dumps(self._identity()))
        for name in {**here, **there}:
            if name not in _FREE_PARAMETERS - here.keys() and there.get(name) != here.get(name):
                values = f" ({shown(there.get(name))} there, {shown(here.get(name))} now)"
                raise ValueError(
                    f"checkpoint {self.path} is that of a training with another {name}"
                    f"{'' if name in self.digests else values}: "
                    "call fit as it was called then, or remove the file to start over."
                )
        if "generators" in content["network"]:  # written before masks came from counters
            if there.get("softmax") == "sampled" or any(np.any(there.get(name) or 0) for name in _MASKED):
                raise ValueError(
                    f"checkpoint {self.path} was written by an older version of fastrnn, whose random draws cannot be "
                    "continued: end the training with that version, or remove the file to start over."
                )
            content["network"] = None
        groups = {}
        for name, array in arrays.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = array
        return content, groups


def open_checkpoint(estimator, path, minutes, random_state, going_on):
    """Return the checkpoint of a fit, or None if `path` is None.

    Parameters
    ----------
    estimator : estimator
    path : str, os.PathLike or None
    minutes : float or None
        See `Checkpoint`.
    random_state : RandomState instance
        The source that the training draws from; it goes back to where the interrupted training began.
    going_on : bool
        Whether this fit continues an earlier one.

    Returns
    -------
    Checkpoint or None

    Raises
    ------
    ValueError
        An argument is wrong, the file is damaged or no checkpoint, or the fit continues an earlier one.
    FileNotFoundError
        The folder does not exist.
    """
    if path is None:
        if minutes is not None:
            raise ValueError("checkpoint_minutes needs a checkpoint, the file that is to be written.")
        return None
    if going_on:
        raise ValueError("checkpoint cannot be used where warm_start=True continues an earlier fit.")
    params = estimator.get_params(deep=False).items()
    identity = {name: _plain(value) for name, value in params if name not in _FREE_PARAMETERS}
    parameters = inspect.signature(type(estimator)).parameters
    defaults = {name: _plain(parameters[name].default) for name in identity if name in parameters}
    checkpoint = Checkpoint(path, type(estimator).__name__, identity, minutes, defaults)
    checkpoint.begin(random_state)
    return checkpoint


def _plain(value):
    """Return a parameter as a plain value that is the same in every process."""
    value = tokenizer_to_plain(value)
    if isinstance(value, np.random.RandomState):
        return generator_state(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):  # in any order; keys of JSON's objects are strings
        return sorted(([_plain(key), _plain(part)] for key, part in value.items()), key=repr)
    if value is None or isinstance(value, str | numbers.Real):
        return value
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def generator_state(generator):
    """Return the state of a NumPy Generator or RandomState as plain values; None for None."""
    if generator is None:
        return None
    if isinstance(generator, np.random.RandomState):
        state = generator.get_state(legacy=False)
        return {**state, "state": {"key": state["state"]["key"].tolist(), "pos": int(state["state"]["pos"])}}
    return generator.bit_generator.state


def set_generator_state(generator, state):
    """Set the state that `generator_state` returned."""
    if isinstance(generator, np.random.RandomState):
        key = np.array(state["state"]["key"], np.uint32)
        generator.set_state({**state, "state": {"key": key, "pos": state["state"]["pos"]}})
    elif generator is not None:
        generator.bit_generator.state = state
