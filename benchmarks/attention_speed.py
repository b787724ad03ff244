"""Attention beside the same operations of PyTorch, and decoders with and without it.

python -m benchmarks.attention_speed [--parts step steps decoder] [--threads 1] [--rounds 9]

"step": one query of each of 64 sequences attends to 30 vectors of 256 numbers, whose keys are given; forward and
backward with the gradients of queries, keys, vectors and parameters. "steps": 14 queries of each sequence at once. Both
sides begin with the same numbers and give the same results. "decoder": forward and backward of a GRU decoder of 256
units over 14 steps, which attends to 14 vectors after the recurrent layer or with input feeding, as a multiple of the
same decoder without attention.
"""

import argparse
import itertools

import numpy as np

from benchmarks.versus_torch import check, interleaved, machine
from fastrnn.layers import Attention, Decoder
from fastrnn.layers.attention import SCORES

BATCH, SOURCE_STEPS, SIZE, STEPS = 64, 30, 256, 14

# torch is imported where it is used: asv imports every file of this folder, also where there is no torch.


def make(score, steps, threads):
    """Return an attention layer, a memory that it has read, queries, and the gradient of the contexts."""
    rng = np.random.default_rng(0)
    layer = Attention(SIZE, SIZE, score, random_state=0, n_jobs=threads)
    memory = layer.read(rng.standard_normal((SOURCE_STEPS, BATCH, SIZE), "f4"), training=True)
    return layer, memory, *rng.standard_normal((2, steps, BATCH, SIZE), "f4")


def torch_attention(layer, memory):
    """Return a function of queries (T, B, H), keys and vectors (B, S, H), and parameters, as tensors."""
    import torch

    def as_batch(rows):
        return torch.tensor(rows.reshape(BATCH, SOURCE_STEPS, SIZE), requires_grad=True)

    names = [name for name in layer.parameters if name != "weight_memory"]
    parameters = [torch.tensor(layer.parameters[name], requires_grad=True) for name in names]
    named = dict(zip(names, parameters, strict=True))

    def contexts(queries, keys, vectors):
        if layer.score == "additive":
            projected = torch.nn.functional.linear(queries, named["weight_query"], named["bias"])
            scores = torch.tanh(projected.transpose(0, 1)[:, :, None] + keys[:, None]) @ named["score"]
        else:
            scores = queries.transpose(0, 1) @ keys.transpose(1, 2)
        return (torch.softmax(scores, 2) @ vectors).transpose(0, 1)

    return contexts, names, parameters, as_batch(memory.keys), as_batch(memory.values)


def print_attention(steps, threads, rounds):
    """Print the times of attention with some queries for each sequence."""
    import torch

    for score in SCORES[:2]:  # the dot product is "general" with other keys
        layer, memory, queries, d_contexts = make(score, steps, threads)
        function, names, parameters, keys, vectors = torch_attention(layer, memory)
        x, d = torch.tensor(queries, requires_grad=True), torch.tensor(d_contexts)

        def ours(layer=layer, memory=memory, queries=queries, d_contexts=d_contexts, names=names):
            contexts, _ = layer.forward(queries, memory, training=True)
            d_queries = layer.backward(d_contexts)
            return [contexts, d_queries, *layer.memory_gradients(memory), *(layer.grads[name] for name in names)]

        def theirs(function=function, x=x, d=d, parameters=parameters, keys=keys, vectors=vectors):
            contexts = function(x, keys, vectors)
            return [contexts.detach(), *torch.autograd.grad(contexts, (x, keys, vectors, *parameters), d)]

        contexts, d_queries, d_keys, d_values, *gradients = ours()
        check([contexts, d_queries, *(a.reshape(vectors.shape) for a in (d_keys, d_values)), *gradients], theirs())
        own, other = np.median(interleaved([ours, theirs], rounds)[0], axis=0)
        print(f"{score} attention, {steps} queries: {1e3 * own:.2f} ms, torch {1e3 * other:.2f} ms, ratio "
              f"{other / own:.1f}", flush=True)  # fmt: skip


def print_decoder(threads, rounds):
    """Print what attention adds to the time of a decoder."""
    rng = np.random.default_rng(0)
    x, memory = (rng.standard_normal((STEPS, BATCH, SIZE), "f4") for _ in range(2))
    state = np.zeros((1, BATCH, SIZE), "f4")
    names = [(None, False), *itertools.product(("dot", "general", "additive"), (False, True))]
    passes = []
    for score, feeding in names:
        attention = None if score is None else Attention(SIZE, SIZE, score, random_state=0, n_jobs=threads)
        decoder = Decoder("gru", SIZE, SIZE, attention=attention, input_feeding=feeding, random_state=0, n_jobs=threads)
        dy = np.ones((STEPS, BATCH, decoder.output_size), "f4")

        def run(attention=attention, decoder=decoder, dy=dy):
            read = None if attention is None else attention.read(memory, training=True)
            decoder.forward(x, state, read, training=True)
            decoder.backward(dy)

        passes.append(run)
    times = np.median(interleaved(passes, rounds)[0], axis=0)
    for (score, feeding), seconds in zip(names, times, strict=True):
        name = f"{score}, with input feeding" if feeding else score
        print(f"decoder, attention {name}: {1e3 * seconds:.2f} ms, {seconds / times[0]:.2f} times", flush=True)


PARTS = {
    "step": lambda *options: print_attention(1, *options),
    "steps": lambda *options: print_attention(STEPS, *options),
    "decoder": print_decoder,
}


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(machine(arguments.threads))
    for part in arguments.parts:
        PARTS[part](arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
