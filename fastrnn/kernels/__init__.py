"""The CPU backend: kernels, and the array operations of layers, on several threads.

The names below are the seam to layers, see `fastrnn.backends`: plain functions on arrays, which take outputs, inputs,
sizes and ``n_jobs``. A module is imported when one of its names is first used.
"""

import importlib

_MODULES = {  # each module's part of the seam
    "adaptation": "adapt_weights add_squares",
    "arrays": (
        "add add_sum asarray assign concatenate copy empty empty_like fill is_finite is_writable multiply "
        "peak_memory repeat reshape scale split to_numpy zeros"
    ),
    "attention": "attention_backward attention_forward",
    "clipping": "clip_rows scale_rows sum_of_squares",
    "counters": "dropout keep_mask",
    "crf": "crf_loss crf_marginals crf_viterbi",
    "cross_entropy": "cross_entropy_backward cross_entropy_forward join_clusters softmax",
    "dense": "activate activation_gradient dense_backward dense_forward pack_logit_map product",
    "embedding": "bag_backward bag_forward embedding_backward embedding_forward",
    "generation": "generate",
    "losses": "binary_cross_entropy categorical_cross_entropy half_squared_error",
    "optimizers": (
        "AdagradSettings AdamSettings RMSpropSettings SGDSettings adagrad_update adam_update average_update "
        "rmsprop_update sgd_update"
    ),
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
    "threads": "effective_n_jobs warm_up_threads",
    "top_classes": "most_probable",
}
MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(MODULE_OF)


def __getattr__(name):
    if name not in MODULE_OF:
        raise AttributeError(f"module 'fastrnn.kernels' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fastrnn.kernels.{MODULE_OF[name]}"), name)
    globals()[name] = value  # found at once from now on
    return value
