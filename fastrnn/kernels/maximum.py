"""The larger of two vectors."""

import numpy as np

from fastrnn.simd import Vector, primitive


def _maximum(a, b):
    """Return the larger of two vectors, lane by lane; `b` where one of them is NaN."""
    return np.where(a > b, a, b)


@primitive(_maximum)
def maximum(typingctx, a, b):
    """Type and lower `_maximum`."""
    if not isinstance(a, Vector):
        return None

    def lower(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, a), lower
