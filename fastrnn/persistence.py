"""A saved model: one safetensors file, which holds no code."""

import contextlib
import json
import math
import mmap
import os
import zlib

import numpy as np

from fastrnn.utils.checks import shown
from fastrnn.utils.files import replaced_file

_FORMAT_VERSION = 1
_DTYPES = {"BOOL": "?"} | {f"{k.upper()}{8 * n}": f"<{k}{n}" for k in "iuf" for n in (1, 2, 4, 8) if k != "f" or n > 1}


def plain_parameter(name, value):
    """Return the value of a constructor's parameter in a form that JSON can hold.

    Parameters
    ----------
    name : str
    value : object

    Returns
    -------
    A number, a string, None, or lists and dicts of them.

    Raises
    ------
    ValueError
        If `value` is something else: the message says what to do.
    """
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    try:
        json.dumps(value)
    except TypeError:
        plain = '"whitespace"' if name == "tokenizer" else "None"
        advice = " and give the model lists of tokens instead of texts" if name == "tokenizer" else ""
        raise ValueError(
            f"{name}={shown(value)} cannot be stored in a file, which holds no code: "
            f"call set_params({name}={plain}) before saving{advice}."
        ) from None
    return value


def save_model(path, class_name, params, content, arrays):
    """Write a model to one safetensors file, whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        The file, which is replaced if it exists.
    class_name : str
        The estimator's class.
    params : dict of str -> object
        The constructor's parameters: plain values (numbers, strings, None, lists and dicts of them).
    content : dict of str -> object
        Everything else to keep, in plain values: the vocabulary's tokens, for instance.
    arrays : dict of str -> ndarray
        The learned arrays.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    header = json.dumps(
        {
            "version": _FORMAT_VERSION,
            "class": class_name,
            "params": params,
            "content": content,
        }
    )
    arrays = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    checksums = {"header_checksum": _header_checksum(header, arrays), "checksum": _checksum(arrays)}
    with replaced_file(path) as temporary, open(temporary, "wb") as file:
        _write_safetensors(file, {"fastrnn": header, **checksums}, arrays)


def load_model(path, class_name, verify=True):
    """Read a model that `save_model` wrote.

    The arrays are mapped into memory: a page is read from the disk when it is first used, and processes share it.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    class_name : str
        The class that is expected in it.
    verify : bool
        Whether the arrays are compared with their checksum, which reads them once.

    Returns
    -------
    params, content : dict
    arrays : dict of str -> ndarray
        They can be written to, which changes them in this process only.

    Raises
    ------
    ValueError
        If the file is not a saved model, is damaged, comes from another version of the format or holds another class.
    """
    header, arrays, checksum = _read_file(path)
    if verify and checksum != _checksum(arrays):
        raise _damaged(path)
    if header["class"] != class_name:
        advice = f"use {header['class']}.load" if header["class"].isidentifier() else "it is read by fit(checkpoint=…)"
        raise ValueError(f"{path} holds a {header['class']}, not a {class_name}: {advice}.")
    return header["params"], header["content"], arrays


def saved_class(path):
    """Return the name of the class whose model a file holds, as its header says.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the file is not a saved model, is damaged, or comes from another version of the format.
    """
    header, _, _ = _read_file(path)
    return header["class"]


def _read_file(path):
    """Return the header of a saved model, its arrays, which are mapped and not yet read, and their checksum."""
    with open(path, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if os.fstat(file.fileno()).st_size else b""
    try:
        metadata, arrays = _parse_safetensors(memory)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        if memory[:100].lstrip().startswith(b"\\data\\"):
            raise ValueError(
                f"{path} is an ARPA file: NGramLanguageModel.from_arpa reads it, or the command fastrnn ngram."
            ) from None
        raise ValueError(f"{path} is no saved model, or it is damaged ({error}).") from None
    if "fastrnn" not in metadata:
        raise ValueError(f"{path} is no model saved by fastrnn.")
    if metadata.get("header_checksum") != _header_checksum(metadata["fastrnn"], arrays):
        raise _damaged(path)
    header = json.loads(metadata["fastrnn"])
    if header["version"] != _FORMAT_VERSION:
        raise ValueError(
            f"{path} has version {header['version']} of the file format, this fastrnn reads {_FORMAT_VERSION}."
        )
    return header, arrays, metadata.get("checksum")


def _damaged(path):
    return ValueError(f"{path} is damaged: its checksum does not match.")


@contextlib.contextmanager
def rebuilt(path, class_name):
    """Turn an error of building a model from the content of a file into a ValueError that names the file."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, LookupError) else str(error)
        raise ValueError(f"{path} does not hold a valid {class_name}: {what}") from error


def _write_safetensors(file, metadata, arrays):
    """Write the length of a header, the header as JSON, and the arrays, those of the widest numbers first.

    The package safetensors does not say why a file cannot be written, and lets nobody else read the file.
    """
    codes = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header, end = {"__metadata__": metadata}, 0
    for name in names:
        array, begin = arrays[name], end
        end = begin + array.nbytes
        header[name] = {"dtype": codes[array.dtype], "shape": array.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in names:
        file.write(arrays[name].reshape(-1).view(np.uint8))


def _parse_safetensors(memory):
    """Return metadata and arrays of a safetensors file, without a copy; raise any error for other files."""
    start = 8 + int.from_bytes(memory[:8], "little")
    if not 8 < start <= len(memory):
        raise ValueError("its header is cut off")
    header = json.loads(memory[8:start])
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        if not 0 <= begin <= end <= len(memory) - start or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"its part {name} is cut off")
        arrays[name] = np.ndarray(shape, dtype, memory, start + begin)
    return metadata, arrays


def _header_checksum(header, arrays):
    parts = [header, *(f"{name} {arrays[name].dtype.str} {arrays[name].shape}" for name in sorted(arrays))]
    content = chr(0).join(parts).encode(errors="surrogatepass")  # a damaged header may hold anything
    return f"{zlib.crc32(content):08x}"


def _checksum(arrays):
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(arrays[name].reshape(-1).view(np.uint8), checksum)
    return f"{checksum:08x}"
