"""Checkpoints: a file from which an interrupted training goes on, to the same weights bit for bit."""

import numbers
import os
import pathlib
import time

import numpy as np

from fastrnn._checks import shown
from fastrnn.persistence import load_model, save_model
from fastrnn.text import tokenizer_to_plain

# What results do not depend on.
_FREE_PARAMETERS = {"device", "encoding", "n_jobs", "verbose", "vocabulary", "warm_start"}


class Checkpoint:
    """File that holds all that a training depends on.

    Parameters
    ----------
    path : str or os.PathLike
    name : str
        What is trained: the estimator's class.
    identity : dict of str to object
        Plain values that say which training it is: parameters, and digests of the data. A file with others is refused.
    minutes : float or None, default=None
        Time between two checkpoints within an epoch; None writes after each epoch only.

    Raises
    ------
    ValueError
        `path` is no path, or `minutes` no number.
    FileNotFoundError
        The folder does not exist.
    """

    def __init__(self, path, name, identity, minutes=None):
        if not isinstance(path, str | os.PathLike):
            raise ValueError(f"checkpoint must be None or the path of a file, got {shown(path)}.")
        if minutes is not None and (isinstance(minutes, bool) or not isinstance(minutes, numbers.Real) or minutes < 0):
            raise ValueError(f"checkpoint_minutes must be None or a number of at least 0, got {shown(minutes)}.")
        self.path = pathlib.Path(path)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"checkpoint must lie in a folder that exists, got {shown(str(path))}.")
        self.name, self.identity, self.minutes = f"{name} checkpoint", identity, minutes
        self.written = time.monotonic()

    def is_due(self):
        """Return whether it is time to write within an epoch."""
        return self.minutes is not None and time.monotonic() - self.written >= 60 * self.minutes

    def write(self, content, groups):
        """Replace the file, whole or not at all.

        Parameters
        ----------
        content : dict of str to object
            Plain values.
        groups : dict of str to (dict of str to ndarray)
        """
        arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
        save_model(self.path, self.name, self.identity, content, arrays)
        self.written = time.monotonic()

    def read(self):
        """Return what was written last, or None if there is no file.

        Raises
        ------
        ValueError
            The file is damaged, no checkpoint, or that of another training: the message says what differs.
        """
        if not self.path.exists():
            return None
        identity, content, arrays = load_model(self.path, self.name)
        for name in {**self.identity, **identity}:
            if identity.get(name) != self.identity.get(name):
                shown = "" if name in ("X", "X_val", "vocabulary") else (
                    f" ({identity.get(name)!r:.40} there, {self.identity.get(name)!r:.40} now)"
                )  # fmt: skip
                raise ValueError(
                    f"checkpoint {self.path} is that of a training with another {name}{shown}: "
                    "call fit as it was called then, or remove the file to begin anew."
                )
        groups = {}
        for name, array in arrays.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = array
        return content, groups


def training_identity(estimator, **digests):
    """Return the `identity` of a training: the estimator's parameters, as plain values, and digests of the data."""
    params = {name: _plain(value) for name, value in estimator.get_params(deep=False).items()}
    return {**{name: value for name, value in params.items() if name not in _FREE_PARAMETERS}, **digests}


def _plain(value):
    """Return a parameter as a plain value, which is the same in another process."""
    value = tokenizer_to_plain(value)
    if isinstance(value, np.random.RandomState):
        return generator_state(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, str | numbers.Real | dict):
        return value
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def generator_state(generator):
    """Return the state of a NumPy Generator or RandomState (or None) in plain values."""
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
