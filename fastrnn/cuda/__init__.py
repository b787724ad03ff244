"""The GPU backend: the functions of `fastrnn.kernels` by the same names, on `numba.cuda`.

Only `fastrnn.backends` imports this package, when a device "cuda" is asked for. A module is imported when one of its
names is first used; ARCHITECTURE.md has a table of them. Under ``NUMBA_ENABLE_CUDASIM=1`` everything runs in Numba's
simulator, slowly and without a GPU.
"""

import importlib

import numpy as np

if not hasattr(np, "row_stack"):  # gone with NumPy 2.5, but named by numba-cuda 0.30 when it is imported
    np.row_stack = np.vstack  # noqa: NPY201

_MODULES = {  # each module's part of the seam
    "adaptation": "adapt_weights add_squares",
    "arrays": (
        "add add_sum asarray assign concatenate copy empty empty_like fill is_finite is_writable multiply "
        "peak_memory repeat reshape scale to_numpy zeros"
    ),
    "clipping": "clip_rows scale_rows sum_of_squares",
    "counters": "dropout keep_mask",
    "cross_entropy": "cross_entropy_backward cross_entropy_forward join_clusters softmax",
    "dense": "activate activation_gradient dense_backward dense_forward pack_logit_map product",
    "embedding": "bag_backward bag_forward embedding_backward embedding_forward",
    "generation": "generate",
    "losses": "binary_cross_entropy categorical_cross_entropy half_squared_error",
    "optimizers": "adagrad_update adam_update average_update rmsprop_update sgd_update",
    "packing": "make_packing",
    "penalties": (
        "activity_penalty activity_penalty_gradient temporal_activity_penalty temporal_activity_penalty_gradient"
    ),
    "pooling": (
        "attention_pooling_backward attention_pooling_forward last_pooling_backward last_pooling_forward "
        "max_pooling_backward max_pooling_forward mean_pooling_backward mean_pooling_forward"
    ),
    "recurrent_passes": "make_direction",
    "rows": "add_to_rows assign_rows spread_rows take_rows",
}
_OF_EVERY_DEVICE = (  # of `fastrnn.kernels`: these touch no array
    "AdagradSettings AdamSettings RMSpropSettings SGDSettings effective_n_jobs warm_up_threads"
).split()
_OF_THE_DEVICE = {"device": "fastrnn.cuda.gpu"}
_PUBLIC = {name: f"fastrnn.cuda.{module}" for module, names in _MODULES.items() for name in names.split()}
_PUBLIC |= dict.fromkeys(_OF_EVERY_DEVICE, "fastrnn.kernels")

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC and name not in _OF_THE_DEVICE:
        raise AttributeError(f"module 'fastrnn.cuda' has no attribute {name!r}")
    value = getattr(importlib.import_module((_PUBLIC | _OF_THE_DEVICE)[name]), name)
    globals()[name] = value  # found at once from now on
    return value
