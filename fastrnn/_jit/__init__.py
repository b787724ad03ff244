"""The one place for Numba's flags, the disk cache of compiled kernels, and its off-switch.

Environment variables, read when a process starts:

- ``FASTRNN_CACHE=0`` neither reads nor writes compiled kernels on disk;
- ``NUMBA_CACHE_DIR`` chooses the folder that they are kept in (`fastrnn._jit.folders` says where else);
- ``NUMBA_DISABLE_JIT=1`` runs every kernel as plain Python;
- ``FASTRNN_SIMD_BITS`` forces the width of the vectors (128, 256 or 512).
"""

from fastrnn._jit.cache import not_kept, used_files
from fastrnn._jit.compiler import CACHE_ENABLED, kernel
from fastrnn._jit.linking import link_shared, share
from fastrnn._jit.machine import simd_bits

__all__ = ["CACHE_ENABLED", "kernel", "link_shared", "not_kept", "share", "simd_bits", "used_files"]
