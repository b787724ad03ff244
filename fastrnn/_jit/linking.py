"""Long functions that are compiled once and called from several kernels, rather than compiled into each of them."""

import llvmlite.binding as llvm

_shared = {}  # symbol of each function that the linker does not know yet: a callable that returns its address


def share(symbol, provide):
    """Let compiled kernels call a function by its symbol.

    Parameters
    ----------
    symbol : str
    provide : callable
        Compiles or loads the function and returns its address; called before the first kernel that uses it is linked.
    """
    _shared[symbol] = provide


def link_shared(symbol):
    """Make a function of `share` known to the linker; the caller holds Numba's lock, as compiling and loading do."""
    provide = _shared.pop(symbol, None)  # first, because the function's own file names the symbol too
    if provide is not None:
        try:
            llvm.add_symbol(symbol, provide())
        except BaseException:
            _shared[symbol] = provide
            raise


def link_symbols(content):
    """Link the shared functions that occur in the compiled code `content`."""
    for symbol in list(_shared):
        if symbol.encode() in content:
            link_shared(symbol)
