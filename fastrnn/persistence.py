"""Files on disk: written whole or not at all, and a saved model as one safetensors file that holds no code."""

import os
import pathlib
import uuid


def write_atomically(path, data):
    """Write `data` to `path` so that the file is there whole or not at all.

    The bytes go to a temporary file in the same folder, which then takes the place of `path` in one step: a full disk
    or an interrupt leaves what was there before.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write.
    data : bytes
        Its content.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
