"""The translator beside a matched loop of PyTorch: a training step, and the dates to their accuracy.

FASTRNN_DATA=… python -m benchmarks.translator_speed [--parts step dates] [--threads 1] [--rounds 9]

"step": loss, gradients, clipping and Adam on a batch of 64 pairs of about 14 tokens, with GRUs of 256 units (encoder in
both directions), additive attention, input feeding, and vocabularies of 6,000 and 8,000 tokens. "dates": training
batches of 128 pairs of characters, with 128 units, until 99.9% of the test data come out exactly; both sides train in
turn, and only their training is timed. Both sides begin with the same weights, and give the same losses and gradients
before anything is timed. torch has packed sources, keys that are projected once, and one product for all logits.
"""

import argparse
import functools

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.tagger_speed import spent
from benchmarks.versus_torch import check, machine
from fastrnn.datasets import load_dates
from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.decoder import PairBatch
from fastrnn.networks.translation import TranslationNetwork
from fastrnn.text import END_ID, START_ID, Vocabulary
from fastrnn.text.tokens import close_sentences
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer
from fastrnn.translation.pairs import Pairs
from fastrnn.utils.ragged import offsets_of

SIZES, UNITS, BATCH, LENGTHS = (6000, 8000), 256, 64, (11, 18)  # vocabularies; tokens of a sequence: 11 to 17
DATES_UNITS, DATES_BATCH, DATES_STEPS = 128, 128, 44  # steps between two tests: an eighth of an epoch
ENOUGH, MOST_EPOCHS = 0.999, 5
RATE, CLIP_NORM = 2e-3, 1.0

# torch is imported where it is used: asv imports every file of this folder, also where there is no torch.


def make_network(n_source, n_target, units, threads):
    """Return a new network without dropout."""
    return TranslationNetwork(
        n_source, n_target, share_embedding=False, cell="gru", embedding_size=units, hidden_size=units, num_layers=1,
        bidirectional=True, attention="additive", input_feeding=True, tie_weights=False, label_smoothing=0.0,
        dropout=0.0, embedding_dropout=0.0, locked_dropout=False, random_state=np.random.RandomState(0),
        n_jobs=threads,
    )  # fmt: skip


def make_pairs(sources, targets):
    """Return lists of ids, the targets without an end, as pairs for the network."""
    offsets = offsets_of(list(map(len, sources)))
    closed = close_sentences(np.concatenate(targets).astype("i4"), offsets_of(list(map(len, targets))))
    rows = np.arange(len(sources))
    return Pairs(Sequences(np.concatenate(sources).astype("i4"), offsets), Sequences(*closed),
                 np.ones(len(rows), "f4"), rows)  # fmt: skip


class Ours:
    """A network of fastrnn and its optimizer."""

    def __init__(self, network, threads):
        self.network = network
        self.optimizer = make_optimizer("adam", learning_rate=RATE, n_jobs=threads)

    def gradients(self, batch):
        """Return the loss of a batch; the network has its gradients then."""
        return self.network.train_step(batch)[0]

    def step(self, batch):
        """Train on a batch."""
        self.gradients(batch)
        rows = self.network.sparse_rows()
        clip_grad_norm(self.network.grads, CLIP_NORM, rows)
        self.optimizer.step(self.network.parameters, self.network.grads, rows)

    def greedy(self, pairs, longest):
        """Return the likeliest targets, tuples of ids."""
        found = []
        for begin in range(0, len(pairs.rows), 500):
            rows = pairs.rows[begin : begin + 500]
            state, tokens = self.network.start(PairBatch(pairs.sequences, rows)), np.full(len(rows), START_ID)
            steps = []
            for _ in range(longest):
                log_probs, state = self.network.advance(state, tokens)
                tokens = log_probs.argmax(axis=1)
                steps.append(tokens)
            found += before_end(np.transpose(steps))
        return found


class Theirs:
    """torch's network with the same weights, and its optimizer."""

    def __init__(self, network):
        import torch

        from benchmarks.torch_translator import TorchTranslator

        self.module = TorchTranslator.like(network)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=RATE)

    def gradients(self, tensors):
        """Return the loss of a batch; the network has its gradients then."""
        from torch.nn.functional import cross_entropy

        sources, lengths, inputs, targets = tensors
        self.optimizer.zero_grad()
        logits = self.module(sources, lengths, inputs)
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        loss.backward()
        return loss.item()

    def step(self, tensors):
        """Train on a batch."""
        import torch

        self.gradients(tensors)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), CLIP_NORM)
        self.optimizer.step()

    def greedy(self, pairs, longest):
        """Return the likeliest targets, tuples of ids."""
        found = []
        for begin in range(0, len(pairs.rows), 500):
            sources, lengths, *_ = tensors_of(pairs.batch(pairs.rows[begin : begin + 500]))
            found += before_end(self.module.greedy(sources, lengths, START_ID, END_ID, longest).T.numpy())
        return found


def tensors_of(batch):
    """Return sources (S, B), their lengths (B,), inputs and targets (T, B) of a batch as tensors."""
    import torch

    sources, lengths = batch.sources.padded(batch.rows)
    targets = np.where(batch.targets < 0, -1, batch.targets)
    return tuple(torch.tensor(array.astype("i8")) for array in (sources, lengths, batch.inputs, targets))


def before_end(rows):
    """Return what stands before the first end in each row of ids (n, T), as tuples."""
    rows = [row.tolist() for row in rows]
    return [tuple(row[: row.index(END_ID)] if END_ID in row else row) for row in rows]


def sides(network, batch, threads):
    """Return both sides, after a check that they have the same loss and gradients."""
    ours, theirs = Ours(network, threads), Theirs(network)
    loss, other = ours.gradients(batch), theirs.gradients(tensors_of(batch))
    grads = dict(theirs.module.named_parameters())
    names = {"embedding.weight": "source.weight", "encoder.weight_hh_l0_reverse": "encoder.weight_hh_l0_reverse",
             "decoder.weight_ih_l0": "decoder.weight_ih", "decoder.attention.weight_memory": "memory.weight",
             "output.weight": "output.weight"}  # fmt: skip
    check([loss, *(network.grads[name] for name in names)], [other, *(grads[name].grad for name in names.values())])
    return ours, theirs


def print_step(threads, rounds):
    """Print the times of a training step."""
    random = np.random.default_rng(0)
    sequences = [[random.integers(4, size, random.integers(*LENGTHS)) for _ in range(BATCH)] for size in SIZES]
    pairs = make_pairs(*sequences)
    batch = pairs.batch(pairs.rows)
    tensors = tensors_of(batch)
    ours, theirs = sides(make_network(*SIZES, UNITS, threads), batch, threads)
    times = [(*spent(lambda: ours.step(batch)), *spent(lambda: theirs.step(tensors))) for _ in range(rounds + 1)]
    own, own_cores, other, other_cores = np.median(times[1:], axis=0)  # the first round is not counted
    print(f"training step: {1e3 * own:.0f} ms, torch {1e3 * other:.0f} ms, ratio {other / own:.2f}; on a core "
          f"{1e3 * own_cores:.0f} ms, torch {1e3 * other_cores:.0f} ms, ratio {other_cores / own_cores:.2f}",
          flush=True)  # fmt: skip


def print_dates(threads, rounds):
    """Print after how many seconds of training 99.9% of the dates of the test data come out exactly."""
    data = load_dates()
    vocabularies = [Vocabulary().fit(map(list, texts)) for texts in (data.train.data, data.train.target)]
    train, test = (
        make_pairs(*([vocabulary.encode(list(text)) for text in texts]
                     for vocabulary, texts in zip(vocabularies, (part.data, part.target), strict=True)))
        for part in (data.train, data.test)
    )  # fmt: skip
    expected = [tuple(test.targets.values[slice(*ends)][:-1].tolist()) for ends in
                zip(test.targets.offsets[:-1], test.targets.offsets[1:], strict=True)]  # fmt: skip
    longest, random = int(test.targets.lengths.max()), np.random.RandomState(0)
    batches = [train.batch(rows) for _ in range(MOST_EPOCHS) for rows in train.groups(train.rows, DATES_BATCH, random)]
    network = make_network(*map(len, vocabularies), DATES_UNITS, threads)
    runs = {
        name: {"side": side, "batches": made, "spent": np.zeros(2), "exact": 0.0, "steps": 0}
        for name, side, made in zip(("fastrnn", "torch"), sides(network, batches[0], threads),
                                    (batches, list(map(tensors_of, batches))), strict=True)
    }  # fmt: skip
    for begin in range(0, len(batches), DATES_STEPS):
        for run in runs.values():
            if run["exact"] < ENOUGH:
                for batch in run["batches"][begin : begin + DATES_STEPS]:
                    run["spent"] += spent(functools.partial(run["side"].step, batch))
                    run["steps"] += 1
                found = run["side"].greedy(test, longest)
                run["exact"] = np.mean([guess == right for guess, right in zip(found, expected, strict=True)])
    for name, run in runs.items():
        seconds, on_cores = run["spent"]
        print(f"dates, {name}: {run['exact']:.2%} exact after {run['steps']} steps, {seconds:.1f} s, {on_cores:.1f} s "
              f"of cores: {1e3 * on_cores / run['steps']:.1f} ms a step", flush=True)  # fmt: skip
    ratio, on_cores = runs["torch"]["spent"] / runs["fastrnn"]["spent"]
    print(f"dates: ratio {ratio:.2f}, of cores {on_cores:.2f}")


PARTS = {"step": print_step, "dates": print_dates}


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9, help="of the training step")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(machine(arguments.threads))
    with threadpool_limits(arguments.threads, "blas"):
        for part in arguments.parts:
            PARTS[part](arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
