"""`scan`: a function applied along the first axis of arrays, with its result handed on to the next call.

The file is not called ``scan.py``: a module ``fastrnn.scan`` would hide the function of that name.
"""

import functools
import types as python_types

import numba
import numpy as np
from numba.core import config, types
from numba.core.errors import NumbaError, TypingError
from numba.core.extending import is_jitted, overload
from numba.np.numpy_support import as_dtype

from fastrnn._jit import kernel
from fastrnn._jit.constants import fingerprint, outside_values
from fastrnn.utils.checks import shown

_KEPT_LOOPS = 64  # compiled loops that are kept, one for each function


def scan(fn, elems, initializer=None, reverse=False):
    """Apply a function to one element after the other, and return its results at all steps.

    The result is ``a[0] = fn(initializer, elems[0])``, ``a[1] = fn(a[0], elems[1])`` and so on, stacked, as
    TensorFlow's ``tf.scan`` computes it (and, in functional languages, ``scanl`` and ``scanl1``). There is no gradient.

    A function that is jitted, or that Numba can compile, runs in one compiled loop; any other callable is called from
    Python.

    Parameters
    ----------
    fn : callable
        ``fn(accumulator, element)`` returns the next accumulator. Both are tuples, structured as `initializer` and
        `elems` are, of read-only arrays, or of scalars where no axis is left; or only one of these.
    elems : array-like (T, ...), or tuple of such, nested or not
        Element t is ``elems[t]``, or the tuple of ``part[t]`` of all arrays.
    initializer : array-like, scalar, or tuple of such, nested or not, default=None
        The first accumulator. It fixes structure, shapes and dtypes: results of `fn` are converted within their kind of
        number, from float64 to float32 for instance, but never from float to int. None takes the first element, which
        is then the first result too.
    reverse : bool, default=False
        Whether to begin at the last element; each result is still at the place of its element.

    Returns
    -------
    ndarray (T, ...), or tuple of such
        The accumulators, in the structure of `initializer`.

    Raises
    ------
    ValueError
        The arrays of `elems` are not of the same length, there is none, or there is neither an element nor an
        initializer; or a result of `fn` differs from the first accumulator in structure, shape or kind of number.
    TypeError
        `fn` is not callable.

    Notes
    -----
    The first call with a function, or with arguments of other types, compiles for a second, or a few with arrays. The
    process keeps the compiled loops of the last 64 functions; none is kept on disk. Numba takes global variables, and
    those of an enclosing function or a module, as constants. `scan` compiles a plain function again where such a value
    has changed; values that change from call to call should be a part of `elems` or of the accumulator. A jitted
    function keeps Numba's rules: it does not see such changes. In a compiled function
    ``np.random`` draws from Numba's generator, not from NumPy's. If a compiled function raises an error, all steps
    run again in Python, for the function's own message and traceback.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn import scan
    >>> scan(lambda total, x: total + x, np.array([1, 2, 3, 4]))
    array([ 1,  3,  6, 10])
    >>> scan(lambda total, x: 0.5 * total + x, np.array([1, 2, 3, 4]), initializer=8.0, reverse=True)
    array([3.75, 5.5 , 7.  , 8.  ])

    Fibonacci numbers, with two numbers as accumulator:

    >>> scan(lambda pair, _: (pair[1], pair[0] + pair[1]), np.zeros(6), initializer=(0, 1))
    (array([1, 1, 2, 3, 5, 8]), array([ 1,  2,  3,  5,  8, 13]))
    """
    if not callable(fn):
        raise TypeError(f"fn must be a function of an accumulator and an element, got {shown(fn)}.")
    elems = _map(functools.partial(np.asarray, order="C"), elems, "elems")
    steps = _length(elems)
    if initializer is None:
        if steps == 0:
            raise ValueError("elems is empty: without an element, scan needs an initializer.")
        first = _map(lambda part: (part[-1:] if reverse else part[:1]).reshape(part.shape[1:]), elems)
        elems = _map(lambda part: part[:-1] if reverse else part[1:], elems)
        steps -= 1
    else:
        first = _map(np.asarray, initializer, "initializer")
    # Row for the first accumulator: before the first step's result, or after it if the steps go backwards.
    out = _map(lambda part: np.empty((steps + 1, *part.shape), part.dtype), first)
    put(out, steps if reverse else 0, first)
    _fill(fn, out, _map(_read_only, elems), steps, bool(reverse))
    if initializer is None:
        return out
    return _map(lambda part: part[:-1] if reverse else part[1:], out)


def take(tree, t):
    """Return row t of every array of a tree, in the tree's structure."""
    if isinstance(tree, tuple):
        return tuple(take(part, t) for part in tree)
    return tree[t]


def put(tree, t, value):
    """Write an accumulator into row t of every array of a tree; raise ValueError if it does not fit."""
    if isinstance(tree, tuple):
        if not isinstance(value, tuple) or len(value) != len(tree):
            got = f"a tuple of {len(value)}" if isinstance(value, tuple) else type(value).__name__
            raise ValueError(f"fn must return a tuple of {len(tree)} where the first accumulator has one, got {got}.")
        for part, new in zip(tree, value, strict=True):
            put(part, t, new)
        return
    value = np.asarray(value)
    expected = tree.shape[1:]
    if value.shape != expected:
        raise ValueError(f"fn must keep the shape of the first accumulator, {expected}, got {value.shape}.")
    if not _fits(value.dtype, tree.dtype):
        raise ValueError(
            f"fn must keep the kind of number of the first accumulator, {tree.dtype}, got {value.dtype}: "
            f"the initializer fixes it."
        )
    tree[t] = value


def _fits(dtype, expected):
    return np.can_cast(dtype, expected, "same_kind" if expected.kind in "biufc" else "safe")


@overload(take)
def _take(tree, t):
    if not isinstance(tree, types.BaseTuple):
        return lambda tree, t: tree[t]
    if len(tree) == 1:
        return lambda tree, t: (take(tree[0], t),)
    return lambda tree, t: (take(tree[0], t),) + take(tree[1:], t)  # noqa: RUF005 (Numba knows no star here)


@overload(put)
def _put(tree, t, value):
    if isinstance(tree, types.BaseTuple):
        return _put_tuple(tree, value)
    dtype = as_dtype(getattr(value, "dtype", types.unliteral(value)))
    if getattr(value, "ndim", 0) != tree.ndim - 1 or not _fits(dtype, as_dtype(tree.dtype)):
        raise TypingError("fn must keep dimensions and kind of number of the first accumulator.")

    def put_scalar(tree, t, value):
        tree[t] = value

    def put_array(tree, t, value):
        if value.shape != tree.shape[1:]:
            raise ValueError("fn must keep the shape of the first accumulator.")
        tree[t] = value

    return put_scalar if tree.ndim == 1 else put_array


def _put_tuple(tree, value):
    if not isinstance(value, types.BaseTuple) or len(value) != len(tree):
        raise TypingError("fn must keep the structure of the first accumulator.")

    def put_last(tree, t, value):
        put(tree[0], t, value[0])

    def put_first(tree, t, value):
        put(tree[0], t, value[0])
        put(tree[1:], t, value[1:])

    return put_last if len(tree) == 1 else put_first


def _loop(out, given, elems, fn, steps, reverse):
    """Do all steps; `given` are read-only views of `out`, because `fn` must not change earlier results."""
    for k in range(steps):
        t = steps - 1 - k if reverse else k
        before, after = (t + 1, t) if reverse else (t, t + 1)
        put(out, after, fn(take(given, before), take(elems, t)))


def _fill(fn, out, elems, steps, reverse):
    """Fill `out` in a compiled loop, or in Python where that is not possible."""
    given = _map(_read_only, out)
    if not config.DISABLE_JIT and (is_jitted(fn) or isinstance(fn, python_types.FunctionType)):
        try:
            if _compiled_loop(_Function(fn)).fill(out, given, elems, steps, reverse):
                return
        except Exception:  # run again in Python, for its own message and traceback
            pass
    _loop(out, given, elems, fn, steps, reverse)


class _CompiledLoop:
    """The loop for one function, compiled for the types it is called with."""

    def __init__(self, fn):
        # Bounds are checked, so that a wrong index is an error as it is in Python.
        self._step = fn if is_jitted(fn) else kernel(fn, cache=False, boundscheck=True)
        self._loop = kernel(_loop, cache=False)
        self._compiles = {}  # by the types of the arguments

    def fill(self, out, given, elems, steps, reverse):
        """Fill `out`; return False if Numba cannot compile the function."""
        arguments = (out, given, elems, self._step, steps, reverse)
        signature = tuple(numba.typeof(argument) for argument in arguments)
        if signature not in self._compiles:
            self._compiles[signature] = self._compile(signature)
        if self._compiles[signature]:
            self._loop(*arguments)
        return self._compiles[signature]

    def _compile(self, signature):
        try:
            self._loop.compile(signature)
        except (NumbaError, NotImplementedError):
            return False
        return True


@functools.lru_cache(maxsize=_KEPT_LOOPS)
def _compiled_loop(function):
    return _CompiledLoop(function.fn)


class _Function:
    """A function that equals another if Numba would compile the same code for both."""

    def __init__(self, fn):
        self.fn = fn
        self._identity = id(fn) if is_jitted(fn) else _identity(fn)

    def __eq__(self, other):
        return self._identity == other._identity

    def __hash__(self):
        return hash(self._identity)


def _identity(fn):
    """Return the code of a function and the values that Numba compiles into it as constants."""
    return fn.__code__, tuple((place, fingerprint(value)) for place, value in outside_values(fn))


def _map(function, tree, name="tree"):
    """Return the tree with a function applied to every leaf."""
    if not isinstance(tree, tuple):
        return function(tree)
    if not tree:
        raise ValueError(f"{name} must be arrays or tuples of arrays, got an empty tuple.")
    return tuple(_map(function, part, name) for part in tree)


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view


def _length(elems):
    """Return the common length of all arrays."""
    arrays = []
    _map(arrays.append, elems)
    if any(array.ndim == 0 for array in arrays):
        raise ValueError("elems must have a first axis to go along, got a scalar.")
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(f"elems must be arrays of the same length, got {sorted(lengths)}.")
    return lengths.pop()
