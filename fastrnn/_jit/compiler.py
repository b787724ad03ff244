"""The decorator that compiles functions with the package's flags."""

import functools
import inspect
import os
import pathlib

import numba
from numba.core import config, types

from fastrnn._jit.cache import KernelCache

CACHE_ENABLED = os.environ.get("FASTRNN_CACHE", "1") != "0"

_PACKAGE = pathlib.Path(__file__).parents[1]

# IEEE semantics (no reassociation, NaN and infinity kept); "contract" lets a multiplication and an addition fuse.
# Without error_model="numpy" a division may raise, which keeps a loop from vectorizing.
_FLAGS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}


def _typed_at_a_prompt(function):
    source = pathlib.Path(inspect.getfile(function))
    return not source.is_file() and _PACKAGE not in source.parents


def _call_template(dispatcher, args, kws):
    """Type a call from another kernel: without this, a literal 0 or 1 among its arguments is compiled for anew."""
    args = [types.unliteral(a) for a in args]
    return type(dispatcher).get_call_template(dispatcher, args, {name: types.unliteral(a) for name, a in kws.items()})


def kernel(function=None, *, cache=True, **options):
    """Compile `function` with the package's flags when it is first called, and keep the result on disk.

    Parameters
    ----------
    function : callable
        A function in Numba's nopython subset.
    cache : bool, default=True
        Whether to keep the compiled code on disk. False for functions that are only inlined into other kernels, and for
        functions of users, whose imports the stamp does not cover.
    **options
        Further options of ``numba.njit``, ``forceinline=True`` for instance.

    Returns
    -------
    numba dispatcher, or `function` itself under ``NUMBA_DISABLE_JIT=1``
    """
    if function is None:
        return functools.partial(kernel, cache=cache, **options)
    dispatcher = numba.njit(**{**_FLAGS, **options})(function)
    if not config.DISABLE_JIT:
        dispatcher.get_call_template = functools.partial(_call_template, dispatcher)
    if cache and CACHE_ENABLED and not config.DISABLE_JIT and not _typed_at_a_prompt(function):
        dispatcher._cache = KernelCache(function)
    return dispatcher
