"""What this machine has for ``device="cuda"``, found without importing a package for it."""

import importlib.metadata
import pathlib

_DRIVER = "/proc/driver/nvidia/gpus"  # Linux has a folder for each GPU there
_PACKAGES = ("numba-cuda", "nvmath-python")


def describe_gpus(folder=_DRIVER):
    """Return a line about the GPUs of this machine and the packages for them; an empty one if there is no GPU.

    Parameters
    ----------
    folder : str or os.PathLike
        Where the driver of NVIDIA describes its GPUs.

    Returns
    -------
    str

    Examples
    --------
    >>> from fastrnn.utils.gpu import describe_gpus
    >>> describe_gpus("no such folder")
    ''
    """
    files = sorted(pathlib.Path(folder).glob("*/information"))
    names = [line.partition(":")[2].strip() for file in files for line in file.read_text().splitlines()
             if line.startswith("Model:")]  # fmt: skip
    if not names:
        return ""
    versions = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return f"{', '.join(names)}; without {' and '.join(missing)}: pip install 'fastrnn[cuda]'"
    return f"{', '.join(names)}; {', '.join(f'{name} {version}' for name, version in versions.items())}"


def _version(package):
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
