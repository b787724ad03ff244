"""Text to learn from, each data set by one function that returns a ``sklearn.utils.Bunch``."""

from fastrnn.datasets.python_docs import load_python_docs

__all__ = ["load_python_docs"]
