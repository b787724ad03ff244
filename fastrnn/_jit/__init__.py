"""The one place for Numba's flags, the disk cache of compiled kernels, and its off-switch.

Set ``FASTRNN_CACHE=0`` to neither read nor write compiled kernels on disk, ``NUMBA_CACHE_DIR`` to choose where they
are kept (`fastrnn._jit.folders` says where else), ``NUMBA_DISABLE_JIT=1`` to run every kernel as plain Python, and
``FASTRNN_SIMD_BITS`` to force the width of the vectors (128, 256 or 512).
"""

import functools
import hashlib
import inspect
import os
import pathlib
import pickle
import re
import sys
import warnings
from types import SimpleNamespace

import llvmlite.binding as llvm
import numba
from numba.core import config, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

from fastrnn._jit.constants import class_digest
from fastrnn._jit.folders import delete_files, kernel_folders, read_kernel, write_kernel

_PACKAGE = pathlib.Path(__file__).parents[1]

CACHE_ENABLED = os.environ.get("FASTRNN_CACHE", "1") != "0"

used_files = {}  # those of the compiled kernels that this process uses: whether it has compiled them itself

not_kept = []  # for each kernel that this process compiled and could not write to disk, why

_NOT_KEPT = (
    "Compiled kernels cannot be kept on disk, so that every process compiles them anew ({}). Set NUMBA_CACHE_DIR to a "
    "folder of your own, or FASTRNN_CACHE=0 to compile without this warning."
)

_shared = {}  # symbol of each function that kernels share and the linker does not know yet: what returns its address

# IEEE semantics (no reassociation, NaN and infinity kept); "contract" lets a multiplication and an addition fuse.
# Without error_model="numpy" a division may raise, which keeps a loop from vectorizing.
_FLAGS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}


@functools.cache
def simd_bits():
    """Return the width in bits of the widest vector registers of this machine (or what ``FASTRNN_SIMD_BITS`` says)."""
    forced = os.environ.get("FASTRNN_SIMD_BITS")
    if forced is not None:
        if forced not in ("128", "256", "512"):
            raise ValueError(f"FASTRNN_SIMD_BITS must be 128, 256 or 512, got {forced!r}.")
        return int(forced)
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") and features.get("fma") else 128


@functools.cache
def source_stamp(path):
    """Return a digest of all source files that a kernel in `path` can be made of.

    Those are the file itself, what it imports from the package, what that imports, and so on; the cells, which a kernel
    gets as arguments; and the package's version. An edit in any of them makes the cached kernel stale.
    """
    files, waiting = set(), [pathlib.Path(path), _PACKAGE / "__init__.py", *(_PACKAGE / "cells").rglob("*.py")]
    while waiting:
        file = waiting.pop()
        if file not in files:
            files.add(file)
            waiting += [] if file.name == "__init__.py" else _imported_files(file)
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(os.path.relpath(file, _PACKAGE).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _imported_files(file):
    """Return the package's files that a file imports; all of a folder from which it imports names."""
    found = []
    for name in re.findall(r"^\s*(?:from|import) fastrnn\.?([\w.]*)", file.read_text("utf-8"), re.MULTILINE):
        module = _PACKAGE.joinpath(*name.split("."))
        found += module.glob("*.py") if module.is_dir() else [module.with_suffix(".py")]
    return found


def _class_stamp(argument):
    """Return what identifies the class of a NamedTuple argument: a cell's code is chosen by it."""
    cls = argument.instance_class
    stamp = f"{cls.__module__}.{cls.__qualname__}"
    if cls.__module__.startswith("fastrnn."):
        return stamp
    # A user's own cell is not in the kernel's stamp, nor are its overloads in the same file.
    try:
        source = pathlib.Path(inspect.getfile(cls)).read_bytes()
    except (OSError, TypeError):  # typed at a prompt
        source = b""
    return stamp + class_digest(cls) + hashlib.sha256(source).hexdigest()


def share(symbol, provide):
    """Let compiled kernels call a long function that is compiled by itself, once, rather than in each of them.

    Parameters
    ----------
    symbol : str
    provide : callable
        Called before a kernel that calls the function is linked: compiles it, or loads it, and returns its address.
    """
    _shared[symbol] = provide


def link_shared(symbol):
    """Make a function of `share` known to the linker. Numba holds its lock while it compiles or loads, and so here."""
    provide = _shared.pop(symbol, None)  # now, for the function's own file names it too
    if provide is not None:
        try:
            llvm.add_symbol(symbol, provide())
        except BaseException:
            _shared[symbol] = provide
            raise


class _KernelFiles:
    """One file for each compiled specialisation, named by the stamp of its sources and a digest of the signature.

    Numba's own index maps signatures to numbered files; it knows of edits in one source file only, and two processes
    that write it at once can leave a signature pointing at another's code.
    """

    def __init__(self, function):
        self.source = pathlib.Path(inspect.getfile(function))
        version = f"py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
        name = f"{self.source.stem}.{function.__qualname__}".replace("<", "").replace(">", "")
        self.base = f"{name}-{function.__code__.co_firstlineno}.{version}"

    def _name(self, key):
        """Return the name of a file; raise OSError where the sources cannot be read."""
        signature, target, code = key
        classes = [_class_stamp(a) for a in signature if isinstance(a, types.BaseNamedTuple)]
        parts = (str(signature), classes, target, code, numba.__version__, simd_bits())
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
        return f"{self.base}.{source_stamp(self.source)}.{digest}.nbc"

    def load(self, key):
        """Return what was saved under `key`, or None (also when the file cannot be read: it is made again)."""
        try:
            path, content = read_kernel(self.source, self._name(key))
            data = pickle.loads(content)
        except Exception:
            return None
        for symbol in list(_shared):
            if symbol.encode() in content:
                link_shared(symbol)
        used_files.setdefault(path, False)
        return data

    def save(self, key, data):
        """Write `data` under `key`, and drop the files of earlier states of the sources.

        A folder that cannot be written, or a full disk, costs the cache and not the result: it is warned of once.
        """
        try:
            path = write_kernel(self.source, self._name(key), dumps(data))
        except OSError as error:
            not_kept.append(str(error))
            if len(not_kept) == 1:
                warnings.warn(_NOT_KEPT.format(error), RuntimeWarning, stacklevel=2)
            return
        used_files[path] = True
        any_line = re.sub(r"-\d+\.", "-*.", self.base)  # the function may have stood at another line
        stamp = f".{source_stamp(self.source)}."
        delete_files(old for old in path.parent.glob(f"{any_line}.*.nbc") if stamp not in old.name)

    def flush(self):
        """Delete every file of this kernel."""
        for folder in kernel_folders(self.source):
            delete_files(folder.glob(f"{self.base}.*.nbc"))


class _CompiledCode(CompileResultCacheImpl):
    """How Numba packs compiled code. It looks for no folder, as Numba's own does while a module is imported."""

    def __init__(self, function):
        self._lineno = function.__code__.co_firstlineno
        self._locator = SimpleNamespace(_py_file=inspect.getfile(function), ensure_cache_path=lambda: None)


class _KernelCache(FunctionCache):
    """Numba's function cache on `_KernelFiles`."""

    def __init__(self, function):
        self._name, self._py_func = repr(function), function
        self._impl = _CompiledCode(function)
        self._cache_file = _KernelFiles(function)
        self.enable()

    @property
    def cache_path(self):
        """The folder where kernels are looked for first."""
        return str(kernel_folders(self._cache_file.source)[0])


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
        Whether to keep it on disk: not what is only inlined into other kernels, nor functions of users, whose
        imports the stamp does not cover.
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
        dispatcher._cache = _KernelCache(function)
    return dispatcher
