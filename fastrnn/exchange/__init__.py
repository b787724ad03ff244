"""Weights to and from torch and Keras, and networks as ONNX files.

A layer's `state_dict` and `load_state_dict` are torch's already. Recurrent language models, classifiers and regressors
have ``to_torch``, ``from_torch``, ``to_keras``, ``from_keras`` and ``to_onnx`` as methods. No other library is needed
but for ONNX files (package onnx).
"""

from fastrnn.exchange._keras import from_keras, to_keras
from fastrnn.exchange._onnx import to_onnx

__all__ = ["from_keras", "to_keras", "to_onnx"]
