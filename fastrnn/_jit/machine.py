"""The machine that kernels are compiled for."""

import functools
import os

import llvmlite.binding as llvm


@functools.cache
def simd_bits():
    """Return the width in bits of the widest vector registers of this machine or the value of ``FASTRNN_SIMD_BITS``."""
    forced = os.environ.get("FASTRNN_SIMD_BITS")
    if forced is not None:
        if forced not in ("128", "256", "512"):
            raise ValueError(f"FASTRNN_SIMD_BITS must be 128, 256 or 512, got {forced!r}.")
        return int(forced)
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") and features.get("fma") else 128
