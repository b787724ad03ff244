"""Networks on a GPU beside torch with cuDNN: ratios of times on one device in one process, runs interleaved.

python -m benchmarks.cuda [--parts layers,sampling] [--cells LSTM] [--precisions high] [--out FOLDER] [--smoke]

A row is timed only after both sides have given the same results from the same inputs and weights; the reference of all
precisions is torch in float32. A ratio is torch's time over ours, medians of device events. The table is also written
to FOLDER, after each row, as rows.json and table.md. Every part has a limit of time: rows that come too late are named.
With --smoke, everything runs once at toy sizes, without torch, in Numba's simulator if NUMBA_ENABLE_CUDASIM=1 is set.
"""

import argparse
import functools
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import sys
import time
import traceback

import numpy as np

from benchmarks.cuda_attention import OurAttention, OurTranslator, TorchAttention, TorchTranslatorTraining
from benchmarks.cuda_sides import (
    OurCRF,
    OurLayer,
    OurSampling,
    OurTraining,
    TorchCRF,
    TorchLayer,
    TorchSampling,
    TorchTraining,
    fit_seconds,
    largest_error,
    set_precision,
)

SHAPES = ((35, 20, 650), (100, 64, 512), (128, 128, 1024), (512, 64, 256), (50, 256, 128), (50, 32, 128), (35, 20, 200))
CELLS, PRECISIONS = ("LSTM", "GRU", "RNN"), ("high", "highest", "medium")
TOLERANCES = {"highest": 1e-4, "high": 1e-2, "medium": 8e-2}  # of the largest element
LIMITS = {"compile": 60, "rates": 25, "layers": 90, "training": 20, "sampling": 25, "crf": 15, "attention": 15,
          "translator": 20, "fit": 40}  # seconds  # fmt: skip
ROUNDS, SHORTEST = 7, 0.003  # timings of a side; seconds of one
SIZES = {
    False: {"shapes": SHAPES, "training": (650, 10_000, 35, 20), "sampling": (512, 96), "streams": (1, 1024),
            "length": 512, "crf": ((25, 32, 23), (60, 128, 50)),
            "attention": ((30, 64, 30, 256), (1, 64, 30, 256)), "translator": ((6000, 8000), 256, 64, 17),
            "fit": (650, 10_000, 28_000), "product": 8192,
            "copy": 1 << 28},
    True: {"shapes": ((3, 2, 4),), "training": (4, 12, 3, 2), "sampling": (4, 9), "streams": (1, 9),
           "length": 3, "crf": ((3, 2, 3),), "attention": ((2, 3, 4, 3),), "translator": ((9, 8), 4, 3, 3),
           "fit": (4, 12, 60), "product": 8, "copy": 64},
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------- measuring


class EventClock:
    """Seconds on the device, by events of the driver in a stream: 0 is torch's."""

    def __init__(self, stream):
        from cuda.bindings import driver

        from fastrnn.cuda.gpu import checked, device

        self.stream, self._driver, self._checked, self._device = stream, driver, checked, device()
        self._device.make_current()
        self._events = [checked(driver.cuEventCreate(0)) for _ in range(2)]

    def __call__(self, function, calls=1):
        """Return the seconds of a call."""
        driver, checked = self._driver, self._checked
        self._device.make_current()
        checked(driver.cuCtxSynchronize())
        checked(driver.cuEventRecord(self._events[0], self.stream))
        for _ in range(calls):
            function()
        self._device.make_current()
        checked(driver.cuEventRecord(self._events[1], self.stream))
        checked(driver.cuEventSynchronize(self._events[1]))
        return checked(driver.cuEventElapsedTime(*self._events)) / 1000 / calls


def wall_clock(function, calls=1):
    """Return the seconds of a call that waits for its results."""
    begin = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begin) / calls


def interleaved(sides, rounds, patience=1.5):
    """Return the median seconds of each of some pairs (clock, function), timed in turn, for `patience` seconds."""
    calls = []
    for clock, function in sides:
        first = [clock(function) for _ in range(3)]  # the first compiles, the second captures graphs
        calls.append(max(1, math.ceil(SHORTEST / first[-1])) if rounds > 1 else 1)
    times, begin = [], time.perf_counter()
    while len(times) < rounds and (len(times) < min(3, rounds) or time.perf_counter() < begin + patience):
        times.append([clock(function, n) for (clock, function), n in zip(sides, calls, strict=True)])
    return np.median(times, axis=0).tolist()


# ----------------------------------------------------------------------------------------------------------- parts


class Benchmark:
    """Runs parts, and keeps their rows.

    Parameters
    ----------
    arguments : namespace
        Of the command line.
    """

    def __init__(self, arguments):
        self.arguments, self.rows, self.sizes = arguments, [], SIZES[arguments.smoke]
        self._clocks = None

    def run(self):
        """Run the parts that were asked for, each within its limit; return whether all rows were measured."""
        for part in self.arguments.parts:
            limit = time.perf_counter() + LIMITS[part] * self.arguments.patience
            begin = time.perf_counter()
            for name, row in getattr(self, part)():
                if time.perf_counter() > limit:
                    self._add({"part": part, "name": name, "problem": "no time left"})
                    continue
                self._add({"part": part, "name": name, **self._measured(row)})
            print(f"-- {part}: {time.perf_counter() - begin:.0f} s", flush=True)
        return not any("problem" in row for row in self.rows)

    def _measured(self, row):
        try:
            return row()
        except Exception as error:  # the other rows go on
            traceback.print_exc()
            return {"problem": described(error)}

    def _add(self, row):
        self.rows.append(row)
        print(line(row), flush=True)
        if self.arguments.out:
            write(self.rows, self.arguments.out)

    def _timed(self, theirs, ours):
        """Return the part of a row with both sides' milliseconds and their ratio."""
        if self._clocks is None:
            self._clocks = (wall_clock, wall_clock) if self.arguments.smoke else make_clocks()
        rounds = 1 if self.arguments.smoke else ROUNDS
        theirs, ours = interleaved(list(zip(self._clocks, (theirs, ours), strict=True)), rounds)
        return {"torch_ms": 1000 * theirs, "ours_ms": 1000 * ours, "ratio": theirs / ours}

    def compile(self):
        """Compile the kernels of all rows in processes of their own; they are found on disk afterwards."""
        if not self.arguments.smoke:
            yield "kernels of layers and models", self._compile

    def _compile(self):
        names = itertools.product(self.arguments.precisions, self.arguments.cells, range(len(SHAPES)))
        jobs = [("fit", "cpu"), ("fit", "cuda"), *(("layer", *name) for name in names)]
        limit = LIMITS["compile"] * self.arguments.patience
        workers = max(1, min(len(jobs), (os.cpu_count() or 1) - 2))
        begin, done, problems = time.perf_counter(), 0, []
        with multiprocessing.get_context("spawn").Pool(workers) as pool:  # its end is that of what is left
            for result in [pool.apply_async(compile_ahead, job) for job in jobs]:
                try:
                    result.get(max(0, begin + limit - time.perf_counter()))
                    done += 1
                except multiprocessing.TimeoutError:
                    pass
                except Exception as error:
                    problems.append(described(error))
        for problem in dict.fromkeys(problems):
            print(f"compiling failed: {problem}", flush=True)
        return {"seconds": time.perf_counter() - begin, "compiled": float(done), "of": float(len(jobs))}

    def rates(self):
        """Measure what the machine can do: copies and products by torch, and our products."""
        yield "copy", self._copy_rate
        for precision in self.arguments.precisions:
            yield f"product, {precision}", functools.partial(self._product_rate, precision)

    def _copy_rate(self):
        from fastrnn.cuda.arrays import zeros
        from fastrnn.cuda.gpu import device

        source, target = (zeros(self.sizes["copy"], "float32") for _ in range(2))
        theirs = ours = functools.partial(device().copy, target, source)
        if not self.arguments.smoke:
            import torch

            copies = [torch.zeros(self.sizes["copy"], device="cuda") for _ in range(2)]
            theirs = functools.partial(copies[0].copy_, copies[1])
        row = self._timed(theirs, ours)
        return {**row, "torch_rate": 8e-9 * self.sizes["copy"] / row["torch_ms"], "unit": "TB/s"}

    def _product_rate(self, precision):
        from fastrnn.cuda.arrays import asarray
        from fastrnn.cuda.blas import gemm

        size = self.sizes["product"]
        matrices = np.random.default_rng(0).standard_normal((2, size, size), "f4")
        a, b = map(asarray, matrices)
        c = asarray(np.zeros_like(matrices[0]))
        theirs = ours = functools.partial(gemm, c, a, b, precision=precision)
        if not self.arguments.smoke:
            import torch

            set_precision(precision)
            dtype = torch.bfloat16 if precision == "medium" else torch.float32
            tensors = torch.tensor(matrices, device="cuda", dtype=dtype)
            theirs = functools.partial(torch.matmul, *tensors)
        row = self._timed(theirs, ours)
        return {**row, "torch_rate": 2e-9 * size**3 / row["torch_ms"], "unit": "TFLOP/s"}

    def layers(self):
        """Compare passes of one layer."""
        combinations = sorted(
            itertools.product(self.arguments.precisions, self.arguments.cells),
            key=lambda pair: PRECISIONS.index(pair[0]) + CELLS.index(pair[1]),
        )
        for (precision, cell), shape in itertools.product(combinations, self.sizes["shapes"]):
            sides = functools.cache(functools.partial(self._layers, cell, shape, precision))
            for name in ("forward", "training"):
                title = f"{cell} {'x'.join(map(str, shape))} {precision} {name}"
                yield title, functools.partial(self._layer_row, sides, name, precision)

    def _layers(self, cell, shape, precision):
        """Return both sides, and the errors of both."""
        ours = OurLayer(cell, shape, precision, "cuda")
        if self.arguments.smoke:
            theirs = reference = OurLayer(cell, shape, "highest", "cpu")
        else:
            reference, theirs = TorchLayer(cell, ours, "highest"), TorchLayer(cell, ours, precision)
        expected = reference.results()
        errors = [largest_error(side.results(), expected) for side in (theirs, ours)]
        return theirs, ours, errors

    def _layer_row(self, sides, name, precision):
        theirs, ours, (their_error, our_error) = sides()
        if not our_error <= TOLERANCES[precision]:
            return {"problem": f"wrong: error {our_error:.1e}, torch's {their_error:.1e}"}
        row = self._timed(getattr(theirs, name), getattr(ours, name))
        return {**row, "torch_error": their_error, "our_error": our_error}

    def training(self):
        """Compare steps of training of a language model."""
        size, classes, steps, batch = self.sizes["training"]
        for precision in [name for name in self.arguments.precisions if name != "medium"]:
            name = f"LSTM 2x{size}, V = {classes:,}, {steps}x{batch}, {precision}"
            yield name, functools.partial(self._training, precision, size, classes, steps, batch)

    def _training(self, precision, size, classes, steps, batch):
        ours = OurTraining(size, classes, steps, batch, precision, "cuda")
        if self.arguments.smoke:
            theirs = OurTraining(size, classes, steps, batch, "highest", "cpu")
        else:
            theirs = TorchTraining(ours, size, classes, precision)
        return self._training_row(theirs, ours)

    def _training_row(self, theirs, ours):
        """Return the row of two sides that have the same losses in the first steps."""
        losses = np.array([[side.step() for side in (theirs, ours)] for _ in range(4)])
        error = float(np.abs(losses[:, 0] / losses[:, 1] - 1).max())
        if not error <= 2e-3:
            return {"problem": f"wrong: losses {losses.tolist()}"}
        return {**self._timed(theirs.step, ours.step), "our_error": error}

    def sampling(self):
        """Compare the drawing of characters."""
        size, classes = self.sizes["sampling"]
        for streams in self.sizes["streams"]:
            name = f"LSTM 2x{size}, V = {classes}, {streams} streams"
            yield name, functools.partial(self._sampling, size, classes, streams)

    def _sampling(self, size, classes, streams):
        length = self.sizes["length"]
        ours = OurSampling(size, classes, streams, length, "highest", "cuda")
        if self.arguments.smoke:
            theirs = OurSampling(size, classes, streams, length, "highest", "cpu")
        else:
            theirs = TorchSampling(ours, size, classes, "highest")
        own, other = (side.draw(greedy=1) for side in (ours, theirs))
        wrong = float((own[:8] != other[:8]).mean())  # a tie may part two texts, and they stay parted
        if wrong > 0.02:
            return {"problem": f"wrong: {wrong:.0%} of the first tokens differ"}
        repeats = 1 if self.arguments.smoke else 3
        theirs, ours = (min(wall_clock(side.draw) for _ in range(repeats)) for side in (theirs, ours))
        count = streams * length
        return {"torch_ms": 1000 * theirs, "ours_ms": 1000 * ours, "ratio": theirs / ours,
                "torch_rate": count / theirs, "our_rate": count / ours, "unit": "characters/s"}  # fmt: skip

    def crf(self):
        """Compare losses with their gradients, and paths, of conditional random fields."""
        for shape in self.sizes["crf"]:
            for name in ("loss", "decode"):
                yield f"CRF {'x'.join(map(str, shape))} {name}", functools.partial(self._crf, shape, name)

    def _crf(self, shape, name):
        ours = OurCRF(shape, "cuda")
        theirs = OurCRF(shape, "cpu") if self.arguments.smoke else TorchCRF(ours)
        error = largest_error(ours.results(), theirs.results())
        wrong = float((ours.decode() != theirs.decode()).mean())
        if not error <= 1e-3 or wrong > 0.01:
            return {"problem": f"wrong: error {error:.1e}, {wrong:.1%} of the tags"}
        return {**self._timed(getattr(theirs, name), getattr(ours, name)), "our_error": error}

    def attention(self):
        """Compare attention of queries (steps, sequences, steps of the memory, size)."""
        for shape, score in itertools.product(self.sizes["attention"], ("additive", "dot")):
            sides = functools.cache(functools.partial(self._attention, score, shape))
            for name in ("forward", "training"):
                title = f"attention, {score}, {'x'.join(map(str, shape))} {name}"
                yield title, functools.partial(self._layer_row, sides, name, "highest")

    def _attention(self, score, shape):
        """Return both sides, and the errors of both."""
        ours = OurAttention(score, shape, "highest", "cuda")
        theirs = (
            OurAttention(score, shape, "highest", "cpu") if self.arguments.smoke else TorchAttention(ours, "highest")
        )
        return theirs, ours, [0.0, largest_error(ours.results(), theirs.results())]

    def translator(self):
        """Compare steps of training of a translator."""
        sizes, units, batch, steps = self.sizes["translator"]
        for precision in [name for name in self.arguments.precisions if name != "medium"]:
            name = f"GRU {units}, V = {', '.join(map(str, sizes))}, {steps}x{batch}, {precision}"
            yield name, functools.partial(self._translator, precision)

    def _translator(self, precision):
        ours = OurTranslator(*self.sizes["translator"], precision, "cuda")
        if self.arguments.smoke:
            theirs = OurTranslator(*self.sizes["translator"], "highest", "cpu")
        else:
            theirs = TorchTranslatorTraining(ours, precision)
        return self._training_row(theirs, ours)

    def fit(self):
        """Compare a whole fit on the GPU with one on the CPU."""
        size, classes, tokens = self.sizes["fit"]
        yield f"LSTM 2x{size}, V = {classes:,}, {tokens:,} tokens", self._fit

    def _fit(self):
        size, classes, tokens = self.sizes["fit"]
        fit = functools.partial(fit_seconds, wall_clock, size, classes)
        for device in ("cuda", "cpu"):
            fit(min(tokens, 1400), device, None)  # which compiles
        on_gpu, in_tf32 = ([fit(tokens, "cuda", None, name) for _ in range(2)] for name in ("highest", "high"))
        row = {"gpu_seconds": min(on_gpu), "gpu_seconds_high": min(in_tf32)}
        for name, n_jobs in (("cpu_2_seconds", 2), ("cpu_all_seconds", None)):
            row[name] = fit(tokens, "cpu", n_jobs)
        return {**row, "ratio": row["cpu_2_seconds"] / row["gpu_seconds"],
                "ratio_all_cores": row["cpu_all_seconds"] / row["gpu_seconds"]}  # fmt: skip


def described(error):
    """Return the kind of an error and the beginning of its text."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:150]}"


def make_clocks():
    """Return the clocks of torch's and of our stream."""
    from fastrnn.cuda.gpu import device

    return EventClock(0), EventClock(device().stream)


def compile_ahead(kind, *what):
    """Compile what a row needs, in a process of its own."""
    if kind == "fit":
        (device,) = what
        fit_seconds(wall_clock, 650, 10_000, 1400, device, 2)
        return
    precision, cell, shape = what
    layer = OurLayer(cell, SHAPES[shape], precision, "cuda")
    layer.forward()
    layer.results()


# ----------------------------------------------------------------------------------------------------------- table


def line(row):
    """Return a row of the table as text."""
    text = f"{row['part']:9} {row['name']:46}"
    if "problem" in row:
        return f"{text} {row['problem']}"
    if "torch_ms" in row:
        text += f"{row['torch_ms']:10.3f} ms {row['ours_ms']:10.3f} ms {row['ratio']:7.2f}"
    rest = [f"{name} {value:.4g}" for name, value in row.items()
            if isinstance(value, float) and name not in ("torch_ms", "ours_ms", "ratio")]  # fmt: skip
    if "ratio" in row and "torch_ms" not in row:
        rest.append(f"ratio {row['ratio']:.2f}")
    return f"{text} {', '.join(rest)} {row.get('unit', '')}".rstrip()


def means(rows):
    """Return the geometric mean, the smallest and the number of the ratios of each cell, precision and pass."""
    groups = {}
    for row in rows:
        if row["part"] == "layers" and "ratio" in row:
            cell, _, rest = row["name"].split(maxsplit=2)
            groups.setdefault(f"{cell} {rest}", []).append(row["ratio"])
    return {name: (math.exp(np.mean(np.log(ratios))), min(ratios), len(ratios)) for name, ratios in groups.items()}


def write(rows, folder):
    """Write rows.json and table.md to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.json").write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    lines = [
        machine(),
        "",
        "| part | row | torch ms | ours ms | ratio | more |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        figures = [f"{row[name]:.3f}" if name in row else "" for name in ("torch_ms", "ours_ms", "ratio")]
        rest = {name: value for name, value in row.items()
                if name not in ("part", "name", "torch_ms", "ours_ms", "ratio")}  # fmt: skip
        more = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rest.items())
        lines.append(f"| {' | '.join([row['part'], row['name'], *figures, more])} |")
    lines += ["", "| group | geometric mean | smallest | rows |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {name} | {mean:.2f} | {least:.2f} | {n} |" for name, (mean, least, n) in means(rows).items()]
    (folder / "table.md").write_text("\n".join(lines) + "\n")


def machine():
    """Return in words what was measured on, and with what."""
    from fastrnn.cuda.gpu import device

    versions = [
        f"{name} {sys.modules[name].__version__}" for name in ("torch", "numpy", "numba") if name in sys.modules
    ]
    return f"{device().name}, {os.cpu_count()} cores; {', '.join(versions)}"


def main(arguments=None):
    """Read the command line, measure and print; return whether all rows were measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = functools.partial(str.split, sep=",")
    parser.add_argument("--parts", type=names, default=list(LIMITS), metavar="A,B", help=f"of {', '.join(LIMITS)}")
    parser.add_argument("--cells", type=names, default=list(CELLS), metavar="A,B")
    parser.add_argument("--precisions", type=names, default=list(PRECISIONS), metavar="A,B")
    parser.add_argument("--patience", type=float, default=1.0, metavar="FACTOR", help="of the parts' limits of time")
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="for rows.json and table.md")
    parser.add_argument("--smoke", action="store_true", help="run everything once at toy sizes, without torch")
    arguments = parser.parse_args(arguments)
    benchmark = Benchmark(arguments)
    print(f"{machine()}\n{'':56}{'torch':>10}    {'ours':>10}      ratio", flush=True)
    complete = benchmark.run()
    for name, (mean, least, count) in means(benchmark.rows).items():
        print(f"{name}: geometric mean of {count} {mean:.2f}, smallest {least:.2f}")
    return complete


if __name__ == "__main__":
    sys.exit(not main())
