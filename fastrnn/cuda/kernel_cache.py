"""Compiling kernels for a GPU, or for one that is not there."""


def compiled_kernel(function, argument_types, options):
    """Return a kernel of Numba for the current device, compiled to PTX.

    Parameters
    ----------
    function : callable
    argument_types : tuple of Numba types
    options : dict
        Of Numba's compilation.
    """
    from numba.cuda.dispatcher import _Kernel

    import fastrnn.cuda.functions  # noqa: F401 (elementary functions for this target)

    return _Kernel(function, argument_types, **options)
