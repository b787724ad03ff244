"""Optional packages, imported when they are needed."""

import importlib


def optional_module(name, purpose, extra=None):
    """Import a module of an optional package.

    Parameters
    ----------
    name : str
    purpose : str
        The beginning of the message, "Plots need" for instance.
    extra : str or None, default=None
        The extra of this package that installs the other one.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        The package is not installed: the message says how to install it.

    Examples
    --------
    >>> optional_module("not_there.deeper", "Examples need")
    Traceback (most recent call last):
    ...
    ImportError: Examples need not_there: pip install not_there
    >>> optional_module("not_there", "Examples need", extra="examples")
    Traceback (most recent call last):
    ...
    ImportError: Examples need not_there: pip install "fastrnn[examples]"
    """
    package = name.partition(".")[0]
    try:
        importlib.import_module(package)
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:  # the package is installed, and lacks something itself
            raise
        wanted = f'"fastrnn[{extra}]"' if extra else package
        raise ImportError(f"{purpose} {package}: pip install {wanted}", name=package) from error
