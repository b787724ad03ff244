"""What a training step costs with a large vocabulary: time and memory of the full, adaptive and sampled softmax.

python -m benchmarks.large_vocabulary [--vocabulary 200000] [--size 256] [--steps 7] [--optimizer sgd]

A step of a two-layer LSTM on 20 x 35 tokens, drawn by Zipf's law: loss, gradients, clipping, update. Each softmax runs
in a process of its own, whose peak of resident memory stands beside; beside the time stands that of NumPy's own product
of two matrices in the same process. (What is compiled for the first time takes memory too: run it twice.)
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from sklearn.utils import check_random_state

from fastrnn.layers.large_softmax import SOFTMAXES
from fastrnn.networks.language import LanguageNetwork
from fastrnn.text import END_ID
from fastrnn.text.batching import StreamBatches, Streams
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer

STEPS, BATCH = 35, 20


def make_text(vocabulary_size, n_tokens):
    """Return ids drawn by Zipf's law, which do not stand in the order of their frequency, and the counts of a text."""
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, vocabulary_size + 1)
    p = rng.permutation(p / p.sum())
    return rng.choice(vocabulary_size, n_tokens, p=p).astype(np.int32), rng.multinomial(10_000_000, p)


def make_network(softmax, vocabulary_size, size, counts):
    """Return a two-layer LSTM language model without regularizers."""
    return LanguageNetwork(
        vocabulary_size, size, size, cell="lstm", num_layers=2, dropout=0.0, input_dropout=None, output_dropout=None,
        embedding_dropout=0.0, locked_dropout=False, tie_weights=False, softmax=softmax, softmax_cutoffs=None,
        softmax_samples=2000, counts=counts, activity_penalty=0.0, temporal_activity_penalty=0.0,
        random_state=check_random_state(0), n_jobs=None,
    )  # fmt: skip


def seconds(call):
    """Return how long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(softmax, vocabulary_size, size, n_steps, optimizer):
    """Return the figures of one softmax: medians over the steps after the first two, which compile and allocate."""
    ids, counts = make_text(vocabulary_size, STEPS * BATCH * (n_steps + 2))
    network = make_network(softmax, vocabulary_size, size, counts)
    rule = make_optimizer(optimizer, learning_rate=1e-3)

    def step(batch):
        loss, _ = network.train_step(batch)
        rows = network.sparse_rows()
        clip_grad_norm(network.grads, 1.0, rows)
        rule.step(network.parameters, network.grads, rows)
        return loss

    times = [seconds(lambda b=batch: step(b)) for batch in StreamBatches(Streams(ids, END_ID, BATCH), STEPS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kilobytes on Linux
    a = np.ones((1024, 1024), "f4")
    product = float(np.median([seconds(lambda: a @ a) for _ in range(9)][2:]))
    parameters = sum(array.size for array in network.parameters.values())
    return {"seconds": float(np.median(times[2:])), "megabytes": peak, "gflops": 2e-9 * 1024**3 / product,
            "parameters": parameters}  # fmt: skip


def main():
    """Print a line for each softmax."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=200_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--only", choices=SOFTMAXES, help="measure this one, here, and print JSON")
    arguments = parser.parse_args()
    sizes = (arguments.vocabulary, arguments.size, arguments.steps, arguments.optimizer)
    if arguments.only:
        print(json.dumps(measure(arguments.only, *sizes)))
        return
    print(f"{'softmax':10}{'parameters':>12}{'ms a step':>11}{'full = 1':>10}{'peak MB':>9}{'np.dot GFLOP/s':>16}")
    reference = None
    for softmax in SOFTMAXES:
        command = [sys.executable, "-m", "benchmarks.large_vocabulary", *sys.argv[1:], "--only", softmax]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        reference = reference or found["seconds"]
        figures = f"{1e3 * found['seconds']:11.1f}{reference / found['seconds']:10.2f}{found['megabytes']:9.0f}"
        print(f"{softmax:10}{found['parameters']:12,}{figures}{found['gflops']:16.0f}", flush=True)


if __name__ == "__main__":
    main()
