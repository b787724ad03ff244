"""Other machines: narrower vectors, processors without fused multiply-add, and no compiler at all."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from fastrnn import RNNLanguageModel
from fastrnn.layers import Recurrent

# Compiling takes most of the time, so that the machines share what is run. The equations of all cells are in TESTS; the
# whole suite runs with FASTRNN_SIMD_BITS=128 pytest.
MODELS = {"8 lanes": ["lstm", "language model"], "4 lanes": ["lstm_layer_norm"]}
TESTS = [
    "tests/test_simd.py",
    "tests/cells/test_backends.py::test_vectors_equal_arrays",
    "tests/kernels/test_gemm.py::test_small_products_are_exact",
    "tests/kernels/test_dense.py::test_few_and_many_rows",
    "tests/training/test_optimizers.py::test_steps_equal_the_reference",
    "tests/layers/test_softmax.py::test_loss_and_gradients_equal_the_reference",
]
PLAIN_TESTS = [
    "tests/test_simd.py::test_operators",
    "tests/test_simd.py::test_parts_of_vectors_touch_nothing_else",
    "tests/kernels/test_gemm.py::test_small_products_are_exact",
    "tests/kernels/test_dense.py::test_few_and_many_rows",
    "tests/kernels/test_embedding.py",
    "tests/training/test_clipping.py",
    "tests/training/test_optimizers.py::test_steps_equal_the_reference",
    "tests/layers/test_softmax.py::test_a_tiny_layer",
    "tests/layers/test_recurrent.py::test_forward_equals_the_reference",
]
MACHINES = {
    "8 lanes": {"FASTRNN_SIMD_BITS": "256"},
    "4 lanes": {"FASTRNN_SIMD_BITS": "128"},
    "no compiler": {"NUMBA_DISABLE_JIT": "1"},
}
if platform.machine() in ("x86_64", "AMD64"):  # with 4 lanes as old as that: SSE2, no fused multiply-add
    MACHINES["4 lanes"] |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}


def results(models):
    """Return what layers of some cells, or a language model, compute, by name."""
    arrays = {}
    for name in models:
        computed = of_language_model() if name == "language model" else of_layer(name)
        arrays |= {f"{name}/{key}": array for key, array in computed.items()}
    return arrays


def of_layer(cell):
    rng = np.random.default_rng(0)
    layer = Recurrent(cell, 11, 37, random_state=0)
    x, dy = (rng.standard_normal((9, 7, size), dtype=np.float32) for size in (11, 37))
    y, _ = layer.forward(x, lengths=[9, 3, 5, 9, 1, 0, 7], training=True)
    dx, _ = layer.backward(dy)
    return {"y": y, "dx": dx, **layer.grads}


def of_language_model():
    model = RNNLanguageModel("lstm", 11, 37, max_iter=3, batch_size=4, early_stopping=False, random_state=0)
    model.fit(["the cat sat on the mat", "the dog sat on the log"] * 20)
    return {
        **model.network_.parameters,
        "loss": np.array(model.loss_curve_),
        "probabilities": model.predict_proba(["the", "the cat"]),
        "texts": np.array(model.sample(5, random_state=0)),
    }


def run(machine, arguments, request):
    """Run a process of Python as on another machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=request.config.rootpath,
        env={**inherited, **MACHINES[machine]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stdout[-5000:] + process.stderr[-2000:]


@pytest.mark.parametrize("machine", MODELS)
def test_results_are_the_same(machine, tmp_path, request):
    run(machine, ["-m", "tests.test_machines", str(tmp_path / "results.npz"), *MODELS[machine]], request)
    with np.load(tmp_path / "results.npz") as there:
        for name, here in results(MODELS[machine]).items():
            # With fused multiply-add, the only differences are those of sums over the lanes of a vector.
            if name == "language model/texts" or (machine == "8 lanes" and name.startswith("lstm/")):
                np.testing.assert_array_equal(there[name], here, err_msg=name)
            else:
                np.testing.assert_allclose(there[name], here, rtol=0, atol=5e-6 * np.abs(here).max(), err_msg=name)


@pytest.mark.parametrize("machine", MACHINES)
def test_tests_pass(machine, request):
    tests, chosen = (PLAIN_TESTS, "test") if machine == "no compiler" else (TESTS, "not float64")
    run(machine, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *tests], request)


if __name__ == "__main__":
    np.savez(sys.argv[1], **results(sys.argv[2:]))
