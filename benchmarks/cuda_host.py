"""What passes on a GPU cost the host: microseconds of single operations, and of passes beside their time on the device.

python -m benchmarks.cuda_host [--cells LSTM,RNN] [--profile]

A pass is bound by the host where it takes the host longer than the device. With --profile, the functions that take most
of the host's time in predictions are listed.
"""

import argparse
import cProfile
import functools
import pstats
import time

import numpy as np

from benchmarks.cuda import SHAPES
from benchmarks.cuda_sides import OurLayer
from fastrnn.cuda.arrays import asarray, empty
from fastrnn.cuda.blas import gemm
from fastrnn.cuda.compiler import matrix_shape
from fastrnn.cuda.gpu import device
from fastrnn.cuda.rows import _gather, gather

CALLS = 50  # of a timing: fewer than the driver queues


def microseconds(function, calls=CALLS, rounds=5):
    """Return the median microseconds of a call: until it returns, and until the device has done its work."""
    times = []
    for _ in range(rounds):
        device().synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        returned = time.perf_counter()
        device().synchronize()
        times.append((returned - begin, time.perf_counter() - begin))
    return (np.median(times, axis=0) / calls * 1e6).tolist()


def operations():
    """Return functions of single operations, by name."""
    found, numbers = device(), np.zeros(32, np.int32)
    small, other, target = (asarray(np.zeros((16, 16), np.float32)) for _ in range(3))
    prepared = _gather.prepare(*matrix_shape(16, 16), target, small, None, 0, 0, 0, 16)
    prepared()  # loads it, which a capture must not
    graph = found.graph(lambda: [prepared() for _ in range(10)])
    return {
        "make_current": found.make_current,
        "an array": functools.partial(empty, (16, 16), np.float32),
        "clear": functools.partial(found.clear, target),
        "copy": functools.partial(found.copy, target, small),
        "upload of 128 bytes": functools.partial(asarray, numbers),
        "a product": functools.partial(gemm, target, small, other, precision="high"),
        "a prepared launch": prepared,
        "a launch": functools.partial(gather, target, small, None),
        "a graph of 10 launches": graph,
    }


def main(arguments=None):
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=lambda text: text.split(","), default=["LSTM", "RNN"], metavar="A,B")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), metavar="N", help="the first shapes alone")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args(arguments)
    print(f"{device().name}\n{'':40}{'host µs':>10}{'all µs':>10}")
    rows = dict(operations())
    for cell in arguments.cells:
        for shape in SHAPES[: arguments.shapes]:
            layer = OurLayer(cell, shape, "high", "cuda")
            name = f"{cell} {'x'.join(map(str, shape))}"
            rows |= {f"{name} forward": layer.forward, f"{name} training": layer.training}
    for name, function in rows.items():
        for _ in range(3):
            function()
        print(f"{name:40}{'{:10.1f}{:10.1f}'.format(*microseconds(function, arguments.calls))}", flush=True)
    if arguments.profile:
        for name in ("forward", "training"):
            function = getattr(OurLayer(arguments.cells[0], (50, 32, 128), "high", "cuda"), name)
            microseconds(function, arguments.calls)
            with cProfile.Profile() as profile:
                microseconds(function, arguments.calls)
            print(name)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
