"""Constants that the compiler takes from outside a function: if one changes, the function is compiled again."""

import hashlib
import inspect
import types

import numpy as np


def outside_values(function):
    """Return the outside values that a compiled function can hold as constants.

    They are global variables, variables of enclosing functions, default arguments, and attributes of modules that names
    in the code reach from these, ``package.settings.ALPHA`` for instance.

    Parameters
    ----------
    function : function

    Returns
    -------
    list of (tuple, object)
        The place of each value, in hashable terms, and the value.
    """
    names = sorted(_names(function.__code__))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    used = [((name,), function.__globals__[name]) for name in names if name in function.__globals__]
    used += [((name,), cell.cell_contents) for name, cell in cells if _is_set(cell)]
    used += [(("default",), function.__defaults__)]
    used += [(("default", name), value) for name, value in sorted((function.__kwdefaults__ or {}).items())]
    modules = {}
    for place, value in used:  # grows, because attributes may be modules too
        if isinstance(value, types.ModuleType) and id(value) not in modules:
            modules[id(value)] = value
            used += [((*place, name), attribute) for name in names for attribute in _attribute(value, name)]
    return used


def _names(code):
    """Return the names of outside variables and of attributes in a function, inner functions included."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*(_names(part) for part in inner))


def _is_set(cell):
    try:
        cell.cell_contents  # noqa: B018 (raises where the variable has no value yet)
    except ValueError:
        return False
    return True


def _attribute(module, name):
    """Return a list of the attribute, or an empty one; a lazy attribute may raise any error."""
    try:
        return [getattr(module, name)]
    except Exception:
        return []


class _Same:
    """Represents an object by identity; it keeps the object, so that no other gets its id."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self):
        return id(self.value)


def fingerprint(value, other=_Same):
    """Return a hashable value that differs where `value` does.

    Parameters
    ----------
    value : object
    other : callable, default=_Same
        Gives the fingerprint of a value that is neither a number, a string, an array of them nor a tuple: Numba takes
        no contents of such a value. By default, only the same object has the same fingerprint.

    Returns
    -------
    hashable
    """
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        contents = np.ascontiguousarray(value)
        return type(value), repr(value.dtype), value.shape, hashlib.sha256(contents.tobytes()).digest()
    if isinstance(value, tuple):
        return type(value), tuple(fingerprint(part, other) for part in value)
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        return type(value), repr(value)
    return other(value)


def class_digest(cls):
    """Return a digest of a class's static functions, of the functions and values that they use, and of its attributes.

    It is the same in every process as long as all of these are.
    """
    waiting, seen, parts = [], set(), []
    for name in dir(cls):
        value = None if name.startswith("__") else inspect.getattr_static(cls, name)
        if isinstance(value, staticmethod):
            waiting.append((name, value.__func__))
        elif not callable(value) and not hasattr(type(value), "__get__"):
            parts.append((name, fingerprint(value, _described)))
    functions = {id(function) for _, function in waiting}  # the compiler calls other functions only if they are jitted
    for place, value in waiting:  # grows by the values that functions use
        function = getattr(value, "py_func", value if id(value) in functions else None)
        if not isinstance(function, types.FunctionType):
            parts.append((place, fingerprint(value, _described)))
        elif function not in seen and not function.__module__.startswith("fastrnn."):
            seen.add(function)
            parts.append((place, _code_parts(function.__code__)))
            waiting += outside_values(function)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _described(value):
    """Return a description of an object that is the same in every process."""
    if isinstance(value, dict):
        return [(fingerprint(k, _described), fingerprint(v, _described)) for k, v in value.items()]
    if isinstance(value, list):
        return [fingerprint(part, _described) for part in value]
    return type(value).__qualname__, getattr(value, "__module__", None), getattr(value, "__qualname__", None)


def _code_parts(code):
    """Return the parts of a code object that decide what it does, with the same `repr` in every process."""
    constants = [
        _code_parts(constant)
        if isinstance(constant, types.CodeType)
        else sorted(map(repr, constant))
        if isinstance(constant, frozenset)
        else repr(constant)
        for constant in code.co_consts
    ]
    return code.co_code.hex(), code.co_names, code.co_freevars, code.co_varnames, constants
