"""`load`: a model of any class, from its file.

The file is not called ``load.py``: a module ``fastrnn.load`` would hide the function of that name.
"""

import fastrnn
from fastrnn.persistence import saved_class


def load(path, verify=True, device=None):
    """Read a model of any class from the file that its ``save`` wrote.

    The file holds no code. It names the class, which must be one of this package.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    verify : bool, default=True
        Whether to read the whole file once and compare it with its checksum. Without this, a damaged file may give
        wrong numbers, and loading takes the same time for any size.
    device : {"cpu", "cuda", "auto"} or None, default=None
        Where the model's network will be. None is the device that the model was saved with, or the CPU where that is a
        GPU and there is none.

    Returns
    -------
    object
        A fitted model, as from the class's own ``load``.

    Raises
    ------
    ValueError
        The file is not a saved model, is damaged, comes from another version of the format, or holds a model of a class
        outside this package; or `device` is "cuda" for a model without a network.
    RuntimeError
        `device` is "cuda", and there is no GPU, or a package for it is missing.
    OSError
        The file cannot be read.

    See Also
    --------
    NGramLanguageModel.from_arpa : Reads an n-gram model from an ARPA file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastrnn
    >>> model = fastrnn.NGramLanguageModel(2, smoothing="add_k").fit(["a fine film", "a dull film"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(pathlib.Path(folder, "model.safetensors"))
    ...     fastrnn.load(pathlib.Path(folder, "model.safetensors"))
    NGramLanguageModel(order=2, smoothing='add_k')
    """
    name = saved_class(path)
    cls = getattr(fastrnn, name, None) if name in fastrnn.__all__ else None
    if not hasattr(cls, "_unpack"):  # a method of all classes whose models can be saved
        what = "a checkpoint, which fit(checkpoint=…) reads" if name.endswith(" checkpoint") else f"a {name}"
        raise ValueError(f"{path} holds no model of a class of fastrnn, but {what}.")
    return cls.load(path, verify=verify, device=device)
