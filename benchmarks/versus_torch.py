"""Layers, training steps and sampling beside PyTorch's: ratios of speeds in one process, runs interleaved.

python -m benchmarks.versus_torch [--rows PATTERN] [--threads 2] [--repeats 9] [--json OUT]

A row is timed only after both sides have given the same results from the same inputs and weights. A ratio is torch's
time over ours, medians of the rounds that other programs on the machine disturbed least.
"""

import argparse
import functools
import glob
import itertools
import json
import math
import os
import pathlib
import platform
import re
import time
from collections.abc import Callable
from typing import NamedTuple

# The workers of OpenBLAS, which only the yardstick uses, would spin for 0.1 s after a product, and make torch's next
# call twice as slow on two cores. They are to sleep at once. (Read when NumPy is imported.)
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import numpy as np
from threadpoolctl import threadpool_limits

from fastrnn import RNNLanguageModel
from fastrnn.layers import GRU, LSTM, RNN
from fastrnn.text import END_ID, SPECIAL_TOKENS, Vocabulary
from fastrnn.text.batching import Batch
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer

# torch is imported where it is used: asv imports every file of this folder, also where there is no torch.

CELLS = {"LSTM": (LSTM, 4), "GRU": (GRU, 3), "RNN": (RNN, 1)}  # our layer, gates; torch's layers have the same names
BATCHES = ((35, 20, 200, 200), (35, 20, 650, 650), (100, 32, 128, 128), (50, 64, 64, 64), (50, 32, 100, 32),
           (128, 128, 256, 256), (200, 16, 512, 512))  # fmt: skip
SINGLES = ((20, 1, 64, 64), (100, 1, 256, 256))
PASSES = {"forward": False, "training": True}  # training: forward and backward with the gradients of everything
TOLERANCE = 2e-4  # of the largest element: float32, summed in different orders


# ------------------------------------------------------------------------------------------------------- measuring

# Workers of torch's OpenMP spin for some milliseconds after a call, on the core that the other side needs. Before each
# timing a pause lets them fall asleep, and calls that do not count wake those of the side that is timed, and cores and
# memory from their rest (some 20 ms): each side is timed as in a loop of its own.
PAUSE, WARM = 0.03, 0.1
SHORTEST = 0.01  # seconds of a timing: a short function is called several times
QUIET = 0.05  # a timing is undisturbed if its threads waited for a core for less than this share of the time
PATIENCE = 15  # seconds a row that more rounds may take, to find undisturbed ones


def waited():
    """Return the seconds that threads of this process have waited for a core; 0 where the system does not tell."""
    return (
        sum(int(pathlib.Path(path).read_text().split()[1]) for path in glob.glob("/proc/self/task/*/schedstat")) / 1e9
    )


def timing(function, calls):
    """Return the seconds of a call, and the share of the time that was waited for a core."""
    time.sleep(PAUSE)
    begin = time.perf_counter()
    while time.perf_counter() < begin + WARM:
        function()
    before, begin = waited(), time.perf_counter()
    for _ in range(calls):
        function()
    seconds = time.perf_counter() - begin
    return seconds / calls, (waited() - before) / seconds


def interleaved(functions, repeats):
    """Return the seconds of each function's calls (repeats, functions), and the shares of waiting in the same order.

    More rounds are run where other programs take the cores, and the `repeats` quietest are returned.
    """
    calls = [math.ceil(SHORTEST / timing(function, 1)[0]) for function in functions]
    rounds, begin = [], time.perf_counter()
    while len(rounds) < repeats or (
        max(share for _, share in rounds[repeats - 1]) > QUIET and time.perf_counter() < begin + PATIENCE
    ):
        order = [(len(rounds) + k) % len(functions) for k in range(len(functions))]
        measured = {k: timing(functions[k], calls[k]) for k in order}
        rounds.append([measured[k] for k in range(len(functions))])
        rounds.sort(key=lambda measured: max(share for _, share in measured))
    return np.moveaxis(np.array(rounds[:repeats]), 2, 0)


def check(ours, theirs):
    """Raise AssertionError unless two lists of arrays are the same to float32 accuracy."""
    for k, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        other = np.asarray(other)
        np.testing.assert_allclose(own, other, rtol=0, atol=TOLERANCE * np.abs(other).max(), err_msg=f"result {k}")


class Pair(NamedTuple):
    """Two sides to be compared, and how much a call of each does."""

    reference: Callable
    ours: Callable
    reference_work: float
    our_work: float
    unit: str = "GFLOP"


class Row(NamedTuple):
    """A line of the table: `make` returns its pair, after it has checked that both sides do the same."""

    group: str
    name: str
    target: float
    make: Callable
    mean_target: float | None = None  # of the geometric mean of the group


# ---------------------------------------------------------------------------------------------------------- layers


def layer_gflop(gates, rows, inputs, hidden, layers, directions, train):
    """Return the operations of the products: those with the weights, and twice as many for their gradients."""
    columns = inputs + hidden + (layers - 1) * (directions + 1) * hidden
    return 2e-9 * gates * hidden * rows * directions * columns * (3 if train else 1)


def make_layers(cell, shape, threads, layers=1, bidirectional=False):
    """Return our layer and torch's with the same weights."""
    import torch

    _, _, inputs, hidden = shape
    layer = CELLS[cell][0](inputs, hidden, layers, bidirectional=bidirectional, random_state=0, n_jobs=threads)
    module = getattr(torch.nn, cell)(inputs, hidden, layers, bidirectional=bidirectional)
    module.load_state_dict({name: torch.tensor(value) for name, value in layer.state_dict().items()})
    return layer, module


def layer_pair(cell, shape, threads, train, layers=1, bidirectional=False, lengths=None, packed=False):
    """Return a layer's pass, both sides from the same state; with `lengths` torch takes the batch packed or padded."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    (steps, batch, inputs, hidden), directions = shape, 2 if bidirectional else 1
    layer, module = make_layers(cell, shape, threads, layers, bidirectional)
    names = [name for name, _ in module.named_parameters()]
    rng = np.random.default_rng(0)
    real = np.ones((steps, batch, 1), "f4") if lengths is None else (np.arange(steps)[:, None] < lengths)[..., None]
    x = rng.standard_normal((steps, batch, inputs), "f4")
    dy = rng.standard_normal((steps, batch, directions * hidden), "f4") * real.astype("f4")
    states = rng.standard_normal((2 if cell == "LSTM" else 1, layers * directions, batch, hidden), "f4")
    state = tuple(states) if cell == "LSTM" else states[0]

    def ours():
        if not train:
            return [layer.forward(x, state, lengths)[0]]
        layer.zero_grad()
        y, _ = layer.forward(x, state, lengths, training=True)
        dx, d_state = layer.backward(dy)
        return [y, dx, *(d_state if cell == "LSTM" else [d_state]), *(layer.grads[name] for name in names)]

    torch_x, *torch_states = (torch.tensor(a, requires_grad=train) for a in (x, *states))
    torch_dy, torch_lengths = torch.tensor(dy), None if lengths is None else torch.tensor(lengths)
    torch_state = tuple(torch_states) if cell == "LSTM" else torch_states[0]

    def theirs():
        with torch.set_grad_enabled(train):
            if packed:
                y, _ = module(pack_padded_sequence(torch_x, torch_lengths, enforce_sorted=False), torch_state)
                y, _ = pad_packed_sequence(y, total_length=steps)
            else:
                y, _ = module(torch_x, torch_state)
            gradients = (
                torch.autograd.grad(y, (torch_x, *torch_states, *module.parameters()), torch_dy) if train else ()
            )
        return [y.detach(), *gradients]

    y, *gradients = theirs()
    check(ours(), [y * torch.tensor(real), *gradients])
    work = layer_gflop(CELLS[cell][1], int(real.sum()), inputs, hidden, layers, directions, train)
    return Pair(theirs, ours, work, work)


def ragged_pair(threads, train, packed, batch=64, inputs=100, hidden=128):
    """Return an LSTM's pass over sequences of log-normal lengths, as those of sentences are."""
    lengths = np.maximum(np.round(np.random.default_rng(0).lognormal(3.05, 0.5, batch)), 1).astype(np.int64)
    shape = (int(lengths.max()), batch, inputs, hidden)
    return layer_pair("LSTM", shape, threads, train, lengths=lengths, packed=packed)


def peak_pair(cell, shape, threads):
    """Return the machine's matrix product and a forward pass: the ratio is the share of what the machine can do."""
    product, work = matrix_product()
    pair = layer_pair(cell, shape, threads, train=False)
    return Pair(product, pair.ours, work, pair.our_work)


def matrix_product(size=1024):
    """Return NumPy's product of two large matrices, the yardstick for all speeds, and its GFLOP."""
    a, b, c = np.random.default_rng(0).standard_normal((3, size, size), "f4")
    return functools.partial(np.dot, a, b, out=c), 2e-9 * size**3


# -------------------------------------------------------------------------------------------------- language models


def torch_logits(module, ids, state=None):
    """Return the output of torch's network, and its state."""
    y, state = module["recurrent"](module["embedding"](ids), state)
    return module["output"](y), state


def load_parameters(module, network):
    """Copy the parameters of our network into torch's."""
    import torch

    module.load_state_dict({name: torch.tensor(value) for name, value in network.parameters.items()})


def make_language_models(cell, size, vocabulary_size, threads, layers=2):
    """Return a model of ours that has barely been trained, and torch's with the same weights."""
    import torch

    tokens = [chr(0x4E00 + n) for n in range(vocabulary_size - len(SPECIAL_TOKENS))]
    model = RNNLanguageModel(cell.lower(), size, size, layers, tokenizer="chars", n_jobs=threads, random_state=0,
                             vocabulary=Vocabulary.from_tokens(tokens))  # fmt: skip
    model.partial_fit(["".join(tokens[:40])])
    module = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(vocabulary_size, size),
            "recurrent": getattr(torch.nn, cell)(size, size, layers),
            "output": torch.nn.Linear(size, vocabulary_size),
        }
    )
    load_parameters(module, model.network_)
    return model, module


def training_pair(cell, size, vocabulary_size, steps, batch, optimizer, rate, threads, clip_norm=0.25):
    """Return a step of truncated backpropagation on random text: loss, gradients, clipping, update."""
    import torch

    model, module = make_language_models(cell, size, vocabulary_size, threads)
    network, own_optimizer = model.network_, make_optimizer(optimizer, learning_rate=rate, n_jobs=threads)
    torch_optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](module.parameters(), lr=rate)
    text = np.random.default_rng(0).integers(len(SPECIAL_TOKENS), vocabulary_size, (4, steps + 1, batch))
    own_batches = itertools.cycle(
        [Batch(part[:-1].astype("i4"), part[1:].astype("i4"), None, n == 0, steps) for n, part in enumerate(text)]
    )
    torch_batches = itertools.cycle([(torch.tensor(part[:-1]), torch.tensor(part[1:]), n == 0)
                                     for n, part in enumerate(text)])  # fmt: skip
    state = None

    def ours():
        loss, _ = network.train_step(next(own_batches))
        rows = network.sparse_rows()
        clip_grad_norm(network.grads, clip_norm, rows)
        own_optimizer.step(network.parameters, network.grads, rows)
        return loss

    def theirs():
        nonlocal state
        inputs, targets, fresh = next(torch_batches)
        torch_optimizer.zero_grad()
        logits, state = torch_logits(module, inputs, None if fresh else state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
        torch_optimizer.step()
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        return loss.item()

    for _ in range(4):
        check([ours()], [theirs()])
    work = layer_gflop(CELLS[cell][1], steps * batch, size, size, 2, 1, train=True)
    work += 3 * 2e-9 * steps * batch * size * vocabulary_size
    return Pair(theirs, ours, work, work)


def sampling_models(cell, size, vocabulary_size, threads):
    """Return language models that never draw a special token, `</s>` included, so that all texts are equally long."""
    model, module = make_language_models(cell, size, vocabulary_size, threads)
    model.network_.output.parameters["bias"][: len(SPECIAL_TOKENS)] = -1e9
    load_parameters(module, model.network_)
    return model, module


def sampling_pair(cell, size, vocabulary_size, threads, length=200):
    """Return the drawing of a text, character after character: `sample` of ours, and the usual loop of torch."""
    import torch

    model, module = sampling_models(cell, size, vocabulary_size, threads)
    vocabulary = model.vocabulary_

    @torch.no_grad()
    def theirs():
        ids, state, drawn = torch.tensor([[END_ID]]), None, []
        for _ in range(length):
            logits, state = torch_logits(module, ids, state)
            ids = torch.multinomial(torch.softmax(logits[0], 1), 1)
            drawn.append(ids)
        return "".join(vocabulary.decode(torch.cat(drawn)[:, 0].tolist()))

    def ours():
        return model.sample(1, length, random_state=0)[0]

    text = ours()
    assert len(text) == len(theirs()) == length
    with torch.no_grad():
        logits, _ = torch_logits(module, torch.tensor([END_ID, *vocabulary.encode(list(text))])[:, None])
    check([model.predict_proba([text])[0]], [torch.softmax(logits[-1, 0], 0)])
    return Pair(theirs, ours, length, length, "characters")


def streams_pair(cell, size, vocabulary_size, threads, length=200, streams=64):
    """Return the drawing of one text, and of many in one batch, both of ours."""
    model, _ = sampling_models(cell, size, vocabulary_size, threads)
    one, many = (functools.partial(model.sample, n, length, random_state=0) for n in (1, streams))
    assert [len(text) for text in many()] == [length] * streams
    return Pair(one, many, length, streams * length, "characters")


# ----------------------------------------------------------------------------------------------------------- table


def table_rows(threads):
    """Yield all rows, with what they are to reach."""
    for cell, least, mean in (("LSTM", 1.0, 1.3), ("GRU", 1.5, 2.2), ("RNN", 1.3, 2.0)):
        for (name, train), shape in itertools.product(PASSES.items(), BATCHES):
            make = functools.partial(layer_pair, cell, shape, threads, train)
            yield Row(f"{cell} {name}", label(shape), least, make, mean)
    for cell, shape, (name, train) in itertools.product(CELLS, SINGLES, PASSES.items()):
        make = functools.partial(layer_pair, cell, shape, threads, train)
        yield Row("one sequence", f"{cell} {name} {label(shape)}", 4, make)
    for name, train in PASSES.items():
        make = functools.partial(layer_pair, "LSTM", (50, 32, 100, 128), threads, train, layers=2, bidirectional=True)
        yield Row("bidirectional", f"LSTM {name} 2 x 50x32x100x128", 1.2, make)
    for (name, train), (layout, target) in itertools.product(PASSES.items(), (("packed", 3), ("padded", 1.5))):
        make = functools.partial(ragged_pair, threads, train, layout == "packed")
        yield Row("ragged", f"LSTM {name} against {layout}", target, make)
    words, characters = (10_000, 35, 20, "sgd", 0.5, threads), (65, 50, 50, "adam", 2e-3, threads)
    steps = (("LSTM", 200, words, 1.6), ("LSTM", 650, words, 1.3), ("LSTM", 128, characters, 1.6),
             ("GRU", 128, characters, 2.5))  # fmt: skip
    for cell, size, text, target in steps:
        make = functools.partial(training_pair, cell, size, *text)
        yield Row("training step", f"{cell} 2x{size}, V = {text[0]}, {text[3]}", target, make)
    yield Row("sampling", "one stream, LSTM 2x128", 15, lambda: sampling_pair("LSTM", 128, 65, threads))
    yield Row("sampling", "64 streams against one of ours", 5, lambda: streams_pair("LSTM", 128, 65, threads))
    shape = (128, 128, 256, 256)
    yield Row("share of peak", f"LSTM forward {label(shape)}", 0.75, lambda: peak_pair("LSTM", shape, threads))


def label(shape):
    """Return a shape (T, B, D, H) as text."""
    return "x".join(map(str, shape))


def measure(row, repeats):
    """Return a row's results as a dict."""
    pair, (product, product_work) = row.make(), matrix_product()
    seconds, shares = interleaved([pair.reference, pair.ours, product], repeats)
    work = np.array([pair.reference_work, pair.our_work, product_work])
    reference, ours, peak = work / np.median(seconds, axis=0)
    best_reference, best_ours, _ = work / seconds.min(axis=0)
    return {
        "group": row.group,
        "name": row.name,
        "target": row.target,
        "mean_target": row.mean_target,
        "unit": pair.unit,
        "ratio": float(ours / reference),
        "ratio_of_quickest": float(best_ours / best_reference),
        "met": bool(ours / reference >= row.target),
        "reference_speed": float(reference),
        "our_speed": float(ours),
        "peak": float(peak),
        "waited": float(shares.max(axis=1).mean()),
        "seconds": seconds.T.tolist(),
    }


HEADER = f"{'T x B x D x H':46}{'torch':>8}{'ours':>8}  {'':8}{'peak':>6}{'share':>7}{'ratio':>8}{'quickest':>10}"
HEADER += f"{'target':>8}  {'met':4}{'waited':>6}"


def line(result):
    """Return a row of the table as text."""
    if result["unit"] == "GFLOP":
        speeds = f"{result['reference_speed']:8.1f}{result['our_speed']:8.1f}  GFLOP/s "
        speeds += f"{result['peak']:6.0f}{result['our_speed'] / result['peak']:7.0%}"
    else:
        speeds = f"{result['reference_speed']:8.0f}{result['our_speed']:8.0f}  {'char./s':21}"
    return (
        f"{result['group'] + ', ' + result['name']:46}{speeds}{result['ratio']:8.2f}{result['ratio_of_quickest']:10.2f}"
        f"{result['target']:8.2f}  {'yes' if result['met'] else 'NO':4}{result['waited']:6.0%}"
    )


def geometric_means(results):
    """Return, for each group that has a target for it: its geometric mean, the target, and the number of rows."""
    means = {}
    for group in dict.fromkeys(r["group"] for r in results if r["mean_target"]):
        ratios = [r["ratio"] for r in results if r["group"] == group]
        target = next(r["mean_target"] for r in results if r["group"] == group)
        means[group] = (float(np.exp(np.mean(np.log(ratios)))), target, len(ratios))
    return means


def processor():
    """Return the processor and its number of cores in words."""
    try:
        name = re.search("model name.*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def machine(threads):
    """Return in words what was measured on, and with what."""
    import torch

    return f"{processor()}, {threads} threads; torch {torch.__version__}, numpy {np.__version__}"


def compare(pattern, threads, repeats):
    """Measure and print the rows whose text matches a regular expression; return the results."""
    print(machine(threads), HEADER, sep="\n", flush=True)
    results = []
    for row in table_rows(threads):
        if re.search(pattern, f"{row.group}, {row.name}", re.IGNORECASE):
            results.append(measure(row, repeats))
            print(line(results[-1]), flush=True)
    for group, (mean, target, count) in geometric_means(results).items():
        print(f"{group}: geometric mean of {count} {mean:.2f}, target {target}: {'yes' if mean >= target else 'NO'}")
    print(f"{sum(r['met'] for r in results)} of {len(results)} rows reach their targets.")
    return results


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", metavar="PATTERN", help="regular expression that picks rows")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=pathlib.Path, metavar="OUT", help="file for all results")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads, "blas"):
        results = compare(arguments.rows, arguments.threads, arguments.repeats)
    if arguments.json:
        content = {"machine": machine(arguments.threads), "rows": results}
        arguments.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
