"""What works on this GPU: one step after the other, each with its time, or with the whole traceback of its error.

``python -m tests.cuda.smoke`` takes some 20 seconds, most of them for compiling. A step that fails does not end the
program, so that its output tells as much as possible of a machine that is not at hand later.
"""

import argparse
import faulthandler
import importlib.metadata
import platform
import sys
import time
import traceback

import numpy as np

TOLERANCES = {"highest": 1e-5, "high": 5e-3, "medium": 5e-2}  # of the largest element


def versions():
    """Print what is installed."""
    print(platform.platform(), "python", platform.python_version())
    names = "numpy numba numba-cuda nvmath-python cuda-bindings cuda-core cuda-pathfinder nvidia-cublas scipy torch"
    for name in names.split():
        try:
            print(f"  {name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"  {name} is not installed")


def the_device():
    """Find the device."""
    from fastrnn.cuda.gpu import device

    found = device()
    names = "name compute_capability multiprocessors shared_memory threads blocks"
    print(" ", {name: getattr(found, name, None) for name in names.split()}, found.memory_left())


def copies():
    """Take values to the device and back."""
    from fastrnn.cuda import arrays

    values = np.arange(1000, dtype=np.float32).reshape(10, 100)
    array = arrays.asarray(values)
    np.testing.assert_array_equal(arrays.to_numpy(array), values)
    np.testing.assert_array_equal(arrays.to_numpy(arrays.copy(array.part(2, 4))), values[2:4])
    np.testing.assert_array_equal(arrays.to_numpy(arrays.zeros(7, "int32")), 0)


def a_kernel():
    """Launch kernels over elements."""
    from fastrnn.cuda import arrays

    values = np.arange(5000, dtype=np.float32)
    array = arrays.asarray(values)
    np.testing.assert_array_equal(arrays.to_numpy(arrays.add(array, array)), 2 * values)
    arrays.fill(array, 3)
    np.testing.assert_array_equal(arrays.to_numpy(array), 3)


def a_kernel_with_shared_memory():
    """Compute softmaxes of rows."""
    from fastrnn.cuda import arrays
    from fastrnn.cuda.cross_entropy import softmax

    values = np.random.default_rng(0).standard_normal((7, 333)).astype(np.float32)
    array = arrays.asarray(values)
    softmax(array)
    expected = np.exp(values.astype(float))
    np.testing.assert_allclose(arrays.to_numpy(array), expected / expected.sum(1, keepdims=True), rtol=1e-5)


def products():
    """Multiply matrices by cuBLAS in every precision, and parts of matrices."""
    from fastrnn.cuda import arrays
    from fastrnn.cuda.blas import Matrix, gemm

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        a, b = rng.standard_normal((70, 130)).astype(dtype), rng.standard_normal((90, 130)).astype(dtype)
        for precision, tolerance in TOLERANCES.items():
            c = arrays.zeros((70, 90), dtype)
            for add in (False, True):
                gemm(c, arrays.asarray(a), arrays.asarray(b), transpose_b=True, add=add, precision=precision)
                _close(arrays.to_numpy(c), (1 + add) * (a.astype(float) @ b.T), tolerance, f"{dtype} {precision}")
        part = arrays.zeros((20, 130), dtype)
        gemm(Matrix(part, 10, 90), Matrix(arrays.asarray(a), 4, 20, 30, 50), arrays.asarray(b[:20, :90].copy()))
        _close(arrays.to_numpy(part)[:, 10:100], a[30:50, 4:24].astype(float) @ b[:20, :90], 1e-5, "parts")


def a_graph():
    """Capture a product and a kernel, and replay them."""
    from fastrnn.cuda import arrays
    from fastrnn.cuda.blas import gemm
    from fastrnn.cuda.gpu import device

    a, c = arrays.asarray(np.eye(32, dtype=np.float32)), arrays.zeros((32, 32), "float32")

    def run():
        gemm(c, a, a, add=True)
        arrays.scale(c, 2)

    run()
    replay = device().graph(run)
    for _ in range(3):
        replay()
    np.testing.assert_array_equal(arrays.to_numpy(c), 30 * np.eye(32))


def _layers(cell, shape, **options):
    """Compare a layer's pass, and the same again, which may be a graph, with the reference of backends."""
    from fastrnn.layers import Recurrent

    hidden = shape[2]
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))

    def results(device):
        own = options if device == "cuda" else {}
        layer = Recurrent(cell, hidden, hidden, random_state=0, device=device, **own)
        ops = layer.backend
        for _ in range(3):
            layer.zero_grad()
            y, _ = layer.forward(ops.asarray(x), training=True)
            dx, _ = layer.backward(ops.asarray(dy))
        return {"y": y, "dx": dx, **layer.grads}

    _compare(results, 10 * TOLERANCES[options.get("precision", "highest")])


def a_decoder():
    """Compare passes of a decoder that attends with input feeding, and again, with the reference of backends."""
    from fastrnn.layers import Attention, Decoder

    rng, size = np.random.default_rng(0), 40
    x, memory, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 3, 4), (9, 3, 6), (5, 3, 46)))

    def results(device):
        options = {"random_state": 0, "device": device}
        layer = Decoder("gru", 4, size, 1, Attention(size, 6, **options), **options)
        ops = layer.backend
        for _ in range(3):
            layer.zero_grad()
            y, _, weights = layer.forward(
                ops.asarray(x), None, layer.attention.read(memory, [9, 0, 4], True), None, True
            )
            dx, _, d_memory = layer.backward(ops.asarray(dy))
        return {"y": y, "weights": weights, "dx": dx, "d_memory": d_memory, **layer.grads}

    _compare(results, 10 * TOLERANCES["highest"])


def _compare(results, tolerance):
    """Compare the arrays, by name, that a function returns for the GPU and for the reference of backends."""
    from fastrnn import backends
    from tests import numpy_backend

    backends.register("numpy", numpy_backend)
    found, expected = (
        {name: np.array(backends.backend(device).to_numpy(array)) for name, array in results(device).items()}
        for device in ("cuda", "numpy")
    )
    backends.register("numpy", None)
    for name, array in expected.items():
        _close(found[name], array, tolerance, name)


def _texts(count):
    """Let a network write texts, and compare them with those of the reference."""
    from fastrnn import backends
    from fastrnn.kernels.sampling import make_choice
    from fastrnn.layers import Recurrent
    from fastrnn.utils.recurrent import TokenOutput
    from tests import numpy_backend

    backends.register("numpy", numpy_backend)
    written = {}
    for device in ("numpy", "cuda"):
        rng, ops = np.random.default_rng(3), backends.backend(device)
        layer = Recurrent("lstm", 12, 40, num_layers=2, random_state=0, device=device)
        embedding, weight, bias, h, *states = (
            ops.asarray(rng.standard_normal(shape).astype(np.float32))
            for shape in ((30, 12), (30, 40), (30,), (count, 40), (2, count, 40), (2, count, 40))
        )
        output = TokenOutput(embedding, ops.pack_logit_map(weight, bias), (0, 1), 1)
        tokens, uniforms = np.empty((9, count), np.int32), rng.random((9, count))
        with layer.held_weights():
            ops.generate(tokens, h, states, layer.held_layers(), output, uniforms, make_choice(0.9, 20, 0.95, 30))
        written[device] = tokens
    backends.register("numpy", None)
    np.testing.assert_array_equal(written["cuda"], written["numpy"])


def a_crf():
    """Compute a loss with its gradients, marginals and paths, and compare them with the reference of backends."""
    from fastrnn.backends import backend
    from tests import numpy_backend

    rng, ops = np.random.default_rng(0), backend("cuda")
    shapes = (9, 7, 13), (13, 13), (13,), (13,)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    arrays[1][:, 3] = -np.inf
    tags, lengths, weights = rng.integers(4, 13, (9, 7)), rng.integers(0, 10, 7), rng.random(7)
    expected = [np.zeros(shape) for shape in shapes]
    loss = numpy_backend.crf.crf_loss(*expected, *arrays, tags, lengths, weights)
    on_device, found = list(map(ops.asarray, arrays)), [ops.zeros(shape, "float32") for shape in shapes]
    _close(ops.crf_loss(*found, *on_device, tags, lengths, weights), loss, 1e-6, "loss")
    for name, own, wanted in zip(("emissions", "transitions", "start", "end"), found, expected, strict=True):
        _close(ops.to_numpy(own), wanted, 1e-5, name)
    marginals, sums = ops.zeros(shapes[0], "float64"), np.arange(9)[:, np.newaxis] < lengths
    ops.crf_marginals(marginals, *on_device, lengths)
    _close(ops.to_numpy(marginals).sum(axis=2), sums, 1e-9, "marginals")
    paths = [(np.empty((9, 7), np.int32), np.empty(7)) for _ in range(2)]
    ops.crf_viterbi(*paths[0], *on_device, lengths)
    numpy_backend.crf.crf_viterbi(*paths[1], *arrays, lengths)
    np.testing.assert_array_equal(paths[0][0], paths[1][0])


def a_tagger():
    """Train a tagger with characters and a CRF, and let it label."""
    from fastrnn import RNNTagger

    X = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["dogs", "bark"]] * 5
    y = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]] * 5
    model = RNNTagger(hidden_size=16, learning_rate_init=0.02, max_iter=40, random_state=0, device="cuda").fit(X, y)
    assert model.predict([["the", "cat", "barks"]]) == [["DET", "NOUN", "VERB"]]
    print("  accuracy", model.score(X, y))


def a_fit():
    """Train a language model, and let it write."""
    from fastrnn import RNNLanguageModel

    model = RNNLanguageModel(hidden_size=16, embedding_size=16, max_iter=2, early_stopping=False, random_state=0,
                             device="cuda")  # fmt: skip
    model.fit(["a b c d", "b c d a"] * 10)
    print("  score", model.score(["a b c"]), "texts", model.sample(2, 5, random_state=0))


def _close(found, expected, tolerance, name):
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error <= tolerance, f"{name}: error {error:.1e}, allowed {tolerance:.1e}"


STEPS = {  # barriers between blocks, which could hang, come late
    "versions": versions,
    "the device": the_device,
    "copies": copies,
    "a kernel": a_kernel,
    "a kernel with shared memory": a_kernel_with_shared_memory,
    "products": products,
    "a graph": a_graph,
    "GRU with layer normalization": lambda: _layers("gru_layer_norm", (5, 3, 6)),
    "many texts": lambda: _texts(20),
    "LSTM, small": lambda: _layers("lstm", (5, 3, 6)),
    "LSTM, one launch": lambda: _layers("lstm", (12, 20, 64)),
    "LSTM, one launch, tf32": lambda: _layers("lstm", (12, 20, 64), precision="high"),
    "LSTM, one launch, bf16": lambda: _layers("lstm", (12, 20, 64), precision="medium"),
    "a decoder": a_decoder,
    "a CRF": a_crf,
    "few texts": lambda: _texts(2),
    "a fit": a_fit,
    "a tagger": a_tagger,
}


def main(names):
    """Run the steps `names`, or all; return the number of those that failed."""
    failed = []
    for name in names or STEPS:
        begin = time.perf_counter()
        try:
            STEPS[name]()
            result = "ok"
        except Exception:
            traceback.print_exc(file=sys.stdout)
            result = "FAILED"
            failed.append(name)
        print(f"{result:6} {name}: {time.perf_counter() - begin:.1f} s", flush=True)
    print(f"{len(failed)} steps failed: {failed}")
    return len(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What works on this GPU.")
    parser.add_argument("names", nargs="*", metavar="STEP", help=f"all by default: {', '.join(STEPS)}")
    parser.add_argument("--seconds", type=float, default=60, help="after which a step that hangs shows where it is")
    arguments = parser.parse_args()
    faulthandler.dump_traceback_later(arguments.seconds, exit=True)
    sys.exit(main(arguments.names))
