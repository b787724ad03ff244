"""Kernels that take a cell compile within bounds, see `tests.cuda.arguments`."""

import pytest

from tests.cuda import arguments
from tests.cuda.compiling import skip_if_unavailable

pytestmark = pytest.mark.cpu


@pytest.mark.parametrize(("module", "kernel", "number"), arguments.cases(with_cells=True))
def test_a_kernel_compiles_within_bounds(module, kernel, number):
    skip_if_unavailable()
    arguments.check(module, kernel, number)
