"""Use of objects by threads: one trains an object, or any number read it.

Training changes an object step by step, and another thread would compute with half of a step. Such a call raises an
error rather than waits, because its author expects both calls to work. The object itself holds no trace of its users:
it can be copied, pickled and compared while it is used.
"""

import functools
import inspect
import os
import threading
import types

TRAINING = ("fit", "partial_fit", "fit_transform")
_FREE = ("get_params", "set_params", "get_metadata_routing")  # scikit-learn's methods that concern parameters only

_lock = threading.Lock()
_users = {}  # by the id of each object in use


class _Users:
    """The threads within methods of an object, an entry for each nested call."""

    __slots__ = ("readers", "trainers")

    def __init__(self):
        self.trainers, self.readers = [], []


def _users_of(one):
    """Return the users of an object; there may be none so far."""
    users = _users.get(id(one))
    if users is None:
        users = _users[id(one)] = _Users()
    return users


class Use:
    """Context in which the calling thread trains some objects and reads others.

    Parameters
    ----------
    trained, read : tuple of object
    what : str
        The method, for the message.

    Raises
    ------
    RuntimeError
        Another thread trains one of the objects, or uses an object that this thread wants to train.
    """

    __slots__ = ("read", "thread", "trained", "what")

    def __init__(self, trained, read, what):
        self.trained, self.read, self.what = trained, read, what

    def __enter__(self):
        self.thread = thread = threading.get_ident()
        with _lock:
            for one in self.trained:
                self._check(one, True)
            for one in self.read:
                self._check(one, False)
            for one in self.trained:
                _users_of(one).trainers.append(thread)
            for one in self.read:
                _users_of(one).readers.append(thread)

    def __exit__(self, *error):
        with _lock:
            for one in self.trained:
                self._leave(one, _users[id(one)].trainers)
            for one in self.read:
                self._leave(one, _users[id(one)].readers)

    def _leave(self, one, threads):
        threads.remove(self.thread)
        users = _users[id(one)]
        if not (users.trainers or users.readers):
            del _users[id(one)]

    def _check(self, one, trained):
        users = _users.get(id(one))
        if users is None:
            return
        name = type(one).__name__
        if users.trainers and users.trainers[0] != self.thread:
            raise RuntimeError(
                f"{self.what} was called while another thread trains the same {name}: wait until that has ended, or "
                "use a copy in each thread."
            )
        if trained and any(reader != self.thread for reader in users.readers):
            raise RuntimeError(
                f"{self.what} was called while another thread uses the same {name}: wait until that has ended, or "
                "train a copy."
            )


class GuardedMixin:
    """Mixin: several threads may call public methods at once, but not while one of them trains the object.

    The methods named in `TRAINING` train; all other public methods of subclasses read.
    """

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, method in list(vars(cls).items()):
            if not name.startswith("_") and inspect.isfunction(method) and name not in _FREE:
                setattr(cls, name, _guarded(method, name))

    def _members(self):
        """Return the fitted objects that this object consists of and reads."""
        return ()


def reads(function):
    """Return a function of a model that is refused while another thread trains the model.

    Parameters
    ----------
    function : callable
        Its first argument is the model, or a pipeline or search with it.
    """
    name, use, find = function.__name__, Use, _models_in

    def guarded(model, *arguments, **options):
        with use((), find(model), name):
            return function(model, *arguments, **options)

    return _in_its_place(guarded, function)


def _models_in(model):
    """Return the guarded objects in a model, which may be a pipeline or a search."""
    model = getattr(model, "best_estimator_", model)
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list):
        return members_of([model])
    return tuple(part for _, step in steps for part in _models_in(step))


def members_of(objects):
    """Return those of some objects that are guarded, and the members of each.

    Examples
    --------
    >>> members_of(["no model", None])
    ()
    """
    guarded = [one for one in objects if isinstance(one, GuardedMixin)]
    return tuple(part for one in guarded for part in (one, *one._members()))


def _guarded(method, name):
    """Return a method that registers its thread as a user of the object while it runs."""
    trains, use = name in TRAINING, Use

    def guarded(self, *arguments, **options):
        members = self._members()
        trained, read = ((self,), members) if trains else ((), (self, *members))
        with use(trained, read, f"{type(self).__name__}.{name}"):
            return method(self, *arguments, **options)

    return _in_its_place(guarded, method)


def _in_its_place(guarded, function):
    """Return a function that looks like the one it calls, with its module's globals, so that doctests are found."""
    guarded = types.FunctionType(guarded.__code__, function.__globals__, function.__name__, None, guarded.__closure__)
    return functools.update_wrapper(guarded, function)


def _forget_users():
    """Start over in a forked child: the parent's threads do not exist there."""
    global _lock
    _lock = threading.Lock()
    _users.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_users)
