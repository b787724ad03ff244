"""The most probable classes of an output layer."""

import numpy as np
import pytest

from tests.cuda.comparing import Host, assert_equal_to_cpu


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "classes", "count"), [(1, 1, 2), (5, 30, 4)])
def test_most_probable(ops, rows, classes, count, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 3), (classes, 3), (classes,)))
    allowed = rng.random(classes) < 0.9
    allowed[0] = True
    log_probs, chosen = Host(np.empty((rows, count))), np.empty((rows, count), np.int32)
    assert_equal_to_cpu(ops, "most_probable", log_probs, chosen, x, weight, bias, allowed, dtype=dtype)
