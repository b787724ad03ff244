"""The disk cache of compiled kernels, in place of Numba's own."""

import hashlib
import inspect
import pathlib
import pickle
import re
import sys
import warnings
from types import SimpleNamespace

import numba
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

from fastrnn._jit.constants import class_digest
from fastrnn._jit.folders import delete_files, kernel_folders, read_kernel, write_kernel
from fastrnn._jit.linking import link_symbols
from fastrnn._jit.machine import simd_bits
from fastrnn._jit.stamps import source_stamp

used_files = {}  # path of each kernel that this process uses: whether the process has compiled it

not_kept = []  # the reason for each kernel of this process that could not be written to disk

_NOT_KEPT = (
    "Compiled kernels cannot be kept on disk, so that every process compiles them anew ({}). Set NUMBA_CACHE_DIR to a "
    "folder of your own, or FASTRNN_CACHE=0 to compile without this warning."
)


def _named_tuples(argument_types):
    """Return the types of NamedTuples among the types of arguments, and within them."""
    found = []
    for argument in argument_types:
        if isinstance(argument, types.BaseNamedTuple):
            found.append(argument)
        if isinstance(argument, types.BaseTuple):
            found += _named_tuples(argument.types)
    return found


def _class_stamp(argument):
    """Return a digest of the class of a NamedTuple argument: it chooses a cell's code, and orders the fields."""
    cls = argument.instance_class
    stamp = f"{cls.__module__}.{cls.__qualname__}{cls._fields}"
    if cls.__module__.startswith("fastrnn."):
        return stamp + source_stamp(inspect.getfile(cls))
    # The stamp of the kernel's file covers neither a user's own cell nor its overloads in the same file.
    try:
        source = pathlib.Path(inspect.getfile(cls)).read_bytes()
    except (OSError, TypeError):  # typed at a prompt
        source = b""
    return stamp + class_digest(cls) + hashlib.sha256(source).hexdigest()


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
        classes = [_class_stamp(argument) for argument in _named_tuples(signature)]
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
        link_symbols(content)
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
        any_line = re.sub(r"-\d+\.", "-*.", self.base)  # the function may have been at another line
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


class KernelCache(FunctionCache):
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
