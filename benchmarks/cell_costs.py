"""What variants of the LSTM, regularizers and ragged batches cost: ratios of times in one process, runs interleaved.

python -m benchmarks.cell_costs [--shape T B D H] [--repeats 9] [--jobs 2]
"""

import argparse
import time

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.layers import Recurrent

VARIANTS = {  # name: arguments of Recurrent beside the sizes
    **{name: {"cell": name} for name in CELLS if name != "lstm"},
    "lstm, zoneout": {"cell": "lstm", "zoneout": 0.1},
    "lstm, recurrent dropout": {"cell": "lstm", "recurrent_dropout": 0.1},
    "lstm, weight dropout": {"cell": "lstm", "weight_dropout": 0.1},
    "lstm, projection to H/2": {"cell": "lstm", "proj_size": -1},
}


def step(layer, x, dy, lengths=None):
    """Return the seconds of a forward and a backward pass."""
    begin = time.perf_counter()
    layer.forward(x, lengths=lengths, training=True)
    layer.backward(dy[..., : layer.output_size])
    return time.perf_counter() - begin


def ratio(first, second, repeats):
    """Return the median time of the first over that of the second, runs interleaved."""
    times = [(first(), second()) for _ in range(repeats + 2)][2:]
    return np.median([a for a, _ in times]) / np.median([b for _, b in times])


def variants(shape, repeats, n_jobs):
    """Yield each variant's time in units of the plain LSTM's."""
    steps, batch, inputs, hidden = shape
    random = np.random.default_rng(0)
    x = random.standard_normal((steps, batch, inputs), dtype=np.float32)
    dy = random.standard_normal((steps, batch, hidden), dtype=np.float32)
    plain = Recurrent("lstm", inputs, hidden, random_state=0, n_jobs=n_jobs)
    for name, options in VARIANTS.items():
        options = {**options, "proj_size": hidden // 2} if "proj_size" in options else options
        layer = Recurrent(input_size=inputs, hidden_size=hidden, random_state=0, n_jobs=n_jobs, **options)
        yield name, ratio(lambda layer=layer: step(layer, x, dy), lambda: step(plain, x, dy), repeats)


def ragged(cell, repeats, n_jobs, batch=64, inputs=100, hidden=128):
    """Return the time of a batch of log-normal lengths in units of that of a full batch with as many real steps."""
    random = np.random.default_rng(0)
    lengths = np.clip(np.round(random.lognormal(3.05, 0.5, batch)), 1, 65).astype(int)
    lengths[0] = 65
    steps = lengths.max()
    full_steps = round(lengths.sum() / batch)
    layers = [Recurrent(cell, inputs, hidden, random_state=0, n_jobs=n_jobs) for _ in range(2)]
    x = random.standard_normal((steps, batch, inputs), dtype=np.float32)
    dy = random.standard_normal((steps, batch, hidden), dtype=np.float32)
    value = ratio(
        lambda: step(layers[0], x, dy, lengths), lambda: step(layers[1], x[:full_steps], dy[:full_steps]), repeats
    )
    return value * (full_steps * batch) / lengths.sum(), lengths.mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=4, default=(35, 20, 200, 200), metavar=("T", "B", "D", "H"))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    print(f"forward and backward at (T, B, D, H) = {tuple(arguments.shape)}, {arguments.jobs} threads; plain LSTM = 1")
    for name, value in variants(arguments.shape, arguments.repeats, arguments.jobs):
        print(f"{name:24} {value:5.2f}")
    for cell in ("lstm", "gru", "rnn"):
        value, mean = ragged(cell, arguments.repeats, arguments.jobs)
        print(f"{cell}, ragged (64 sequences, mean length {mean:.0f}, longest 65): {value:.2f} of a full batch's")
