"""How time and memory grow with the work, what a second thread gains, and what a call costs at least.

python -m benchmarks.growth [--threads 2] [--repeats 9] [--plot OUT]
"""

import argparse
import itertools
import pathlib
import tracemalloc

import numpy as np

from benchmarks.versus_torch import BATCHES, CELLS, PASSES, SINGLES, interleaved, label, processor
from fastrnn import RNNLanguageModel
from fastrnn._memory import release
from fastrnn.layers import LSTM
from fastrnn.text import END_ID, SPECIAL_TOKENS, Vocabulary
from fastrnn.text.batching import StreamBatches, Streams

SIZE = 128  # inputs and units
BASE = {"T": 50, "B": 32, "layers": 1}
SERIES = {"T": (25, 50, 100, 200, 400), "B": (16, 32, 64, 128, 256), "layers": (1, 2, 3, 4)}
TEXTS = ((350, 35), (1400, 35), (5600, 35), (1400, 70), (1400, 140))  # steps of a stream, steps that gradients go back
CUTS = {"1 thread": (1, "auto"), "2, batch": (2, "batch"), "2, units": (2, "units"), "2, auto": (2, "auto")}


def layer_call(layer, steps, batch, train=True):
    """Return a function that takes a layer forward, and backward too."""
    x = np.random.default_rng(0).standard_normal((steps, batch, layer.input_size), "f4")
    dy = np.ones((steps, batch, layer.output_size), "f4")

    def call():
        layer.forward(x, training=train)
        if train:
            layer.backward(dy)

    return call


def medians(calls, repeats):
    """Return the median milliseconds of each function's calls, interleaved."""
    return 1e3 * np.median(interleaved(calls, repeats)[0], axis=0)


def kept_megabytes(steps, batch, layers, training, size=SIZE):
    """Return how much memory a forward pass leaves behind, besides the layer's parameters and its output.

    In training that is what `backward` needs; at prediction what waits for the next pass, of whatever layer.
    """
    layer = LSTM(size, size, layers, random_state=0, n_jobs=1)
    x = np.zeros((steps, batch, size), "f4")
    release()
    tracemalloc.start()
    layer.forward(x, training=training)
    release(rooms=False)  # memory of the output, which is free
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / 1e6


def growth(threads, repeats):
    """Print how time and memory grow with T, B and layers; return them by series, a list each."""
    series = {}
    print(f"LSTM, D = H = {SIZE}, otherwise T = 50, B = 32, one layer: forward and backward\n")
    print(f"{'':14}{'ms':>8}{'ms a unit':>12}{'kept in training':>20}{'at prediction':>16}")
    for name, values in SERIES.items():
        sizes = [{**BASE, name: value} for value in values]
        calls = [layer_call(LSTM(SIZE, SIZE, s["layers"], random_state=0, n_jobs=threads), s["T"], s["B"])
                 for s in sizes]  # fmt: skip
        times = medians(calls, repeats)
        kept = [[kept_megabytes(*size.values(), training) for size in sizes] for training in (True, False)]
        series[name] = {"time": times.tolist(), "memory in training": kept[0]}
        for value, time, training, prediction in zip(values, times, *kept, strict=True):
            figures = f"{time:8.2f}{time / value:12.4f}{training:17.2f} MB{prediction:13.2f} MB"
            print(f"{name + ' = ' + str(value):14}{figures}")
    return series


def peak_megabytes(steps, bptt_length, batch=20, size=SIZE, vocabulary_size=65):
    """Return the most memory that training over a text of `batch` streams takes, beyond network and text."""
    tokens = [chr(0x4E00 + n) for n in range(vocabulary_size - len(SPECIAL_TOKENS))]
    model = RNNLanguageModel("lstm", size, size, tokenizer="chars", vocabulary=Vocabulary.from_tokens(tokens), n_jobs=1)
    network = model.partial_fit(["".join(tokens[:40])]).network_
    text = np.random.default_rng(0).integers(len(SPECIAL_TOKENS), vocabulary_size, steps * batch, dtype=np.int32)
    batches = StreamBatches(Streams(text, END_ID, batch), bptt_length)
    tracemalloc.start()
    for part in batches:
        network.train_step(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def truncation():
    """Print the memory of training over texts of different lengths, and with gradients that go back more steps."""
    print("\nlanguage model, 20 streams: memory of training at its peak")
    print(f"{'steps of a stream':>18}{'steps back':>12}{'MB':>9}")
    for steps, bptt_length in TEXTS:
        print(f"{steps:18}{bptt_length:12}{peak_megabytes(steps, bptt_length):9.2f}")


def two_threads(repeats):
    """Print the times with one thread and with two, by what they cut."""
    print("\n" + f"{'forward and backward, ms':28}" + "".join(f"{name:>11}" for name in CUTS) + f"{'gain':>8}")
    for cell, shape in itertools.product(CELLS, (*BATCHES, *SINGLES)):
        steps, batch, inputs, hidden = shape
        layers = [
            CELLS[cell][0](inputs, hidden, random_state=0, n_jobs=jobs, threads_cut=cut) for jobs, cut in CUTS.values()
        ]
        times = medians([layer_call(layer, steps, batch) for layer in layers], repeats)
        figures = "".join(f"{time:11.3f}" for time in times)
        print(f"{cell + ' ' + label(shape):28}{figures}{times[0] / times[-1]:8.2f}")


def fixed_cost(threads, repeats):
    """Print what a call costs that does not depend on the number of steps, on the small shape."""
    steps, batch, inputs, hidden = SINGLES[0]
    print(f"\nfixed cost of a call at {label(SINGLES[0])}, by steps {steps} and {10 * steps}")
    for cell, (name, train) in itertools.product(CELLS, PASSES.items()):
        layers = [CELLS[cell][0](inputs, hidden, random_state=0, n_jobs=threads) for _ in range(2)]
        calls = [layer_call(layer, n, batch, train) for layer, n in zip(layers, (steps, 10 * steps), strict=True)]
        short, long = 1e3 * medians(calls, repeats)
        print(f"{cell} {name}: {short - (long - short) / 9:.0f} of {short:.0f} microseconds")


def plot(series, path):
    """Draw time and memory of each series in units of its first element: linear growth is the diagonal."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(7, 3.2), sharex=True, sharey=True, layout="constrained")
    for axes, what in zip(panels, ("time", "memory in training"), strict=True):
        for name, values in SERIES.items():
            axes.plot(np.divide(values, values[0]), np.divide(series[name][what], series[name][what][0]), "o-",
                      label=name)  # fmt: skip
        axes.plot([1, 16], [1, 16], "k:", label="linear")
        axes.set(xscale="log", yscale="log", xlabel="size, first = 1", title=f"{what}, first = 1")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(pyplot.FixedLocator([1, 2, 4, 8, 16]))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(pyplot.NullLocator())
    panels[0].legend()
    figure.savefig(path, dpi=80)


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--plot", type=pathlib.Path, metavar="OUT", help="file for a figure")
    arguments = parser.parse_args()
    print(f"{processor()}, {arguments.threads} threads; numpy {np.__version__}")
    series = growth(arguments.threads, arguments.repeats)
    if arguments.plot:
        plot(series, arguments.plot)
    truncation()
    two_threads(arguments.repeats)
    fixed_cost(arguments.threads, arguments.repeats)


if __name__ == "__main__":
    main()
