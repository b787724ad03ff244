"""Recurrent networks and n-gram language models with a scikit-learn API, on Numba kernels."""

__version__ = "0.1.0.dev0"
