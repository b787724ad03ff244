"""Kernels compile to PTX and to machine code without a GPU, within bounds."""

import numpy as np
import pytest

from tests.cuda.compiling import A100, H100, array, compiled, parameters_of

pytestmark = pytest.mark.cpu


@pytest.mark.parametrize("capability", [H100, A100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_launch_passes_the_parameters_that_the_kernel_takes(dtype, capability):
    from fastrnn.cuda.arrays import _fill

    arguments = array(dtype, 1), dtype(2)
    kernel = compiled(_fill, *arguments, capability=capability)
    assert len(kernel.parameters) == len(parameters_of(arguments))
    assert kernel.parameters[-1] == (".f32" if dtype == np.float32 else ".f64")
    assert 0 < kernel.registers < 64
    assert kernel.spills == kernel.stack == kernel.shared == 0
