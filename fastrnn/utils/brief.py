"""Short docstrings for the methods that scikit-learn adds to an estimator: its own fill most of ``help(estimator)``."""

import functools
import inspect
import re
import types

_BRIEF = {
    "fit_transform": "Return ``fit(X, y, **fit_params).transform(X)``.",
    "get_feature_names_out": "Return the names of the columns of ``transform(X)``, an array of str.",
    "get_metadata_routing": "Return the metadata that the methods request (scikit-learn's metadata routing).",
    "get_params": "Return the parameters, a dict; with `deep` also those of parameters that are estimators.",
    "set_output": 'Set the container that `transform` returns: "default", "pandas" or "polars". Returns the estimator.',
    "set_params": "Set parameters by their names. Returns the estimator.",
}
_REQUEST = re.compile(r"set_(\w+)_request")


class BriefHelpMixin:
    """Class whose methods from scikit-learn have one line of documentation each.

    It comes before scikit-learn's mixins among the base classes, so that these find their own methods.
    """

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)  # scikit-learn adds methods here
        for name in dir(cls):
            request = _REQUEST.fullmatch(name)
            doc = f"Set the metadata that `{request[1]}` requests." if request else _BRIEF.get(name)
            method = inspect.getattr_static(cls, name)
            if doc and not isinstance(method, _Brief) and _is_of_sklearn(getattr(cls, name)):
                setattr(cls, name, _Brief(method, doc))


def _is_of_sklearn(method):
    return method.__module__.partition(".")[0] == "sklearn"


class _Brief:
    """A method with another docstring when it is asked for through the class, as `help` does.

    Parameters
    ----------
    method : function or other descriptor
    doc : str
    """

    def __init__(self, method, doc):
        self.method, self.doc = method, doc

    def __get__(self, instance, owner=None):
        found = self.method.__get__(instance, owner)
        return found if instance is not None else _copy(found, self.doc)


def _copy(function, doc):
    """Return a copy of a function with another docstring."""
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(copy, function)
    copy.__doc__ = doc
    return copy
