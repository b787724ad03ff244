"""Layers: objects that hold parameters and gradients and call kernels, with torch's names, shapes and gate order."""
