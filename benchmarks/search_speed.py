"""Beam search of a translator beside a loop of PyTorch over steps, with batched beams.

python -m benchmarks.search_speed [--data words characters] [--parts versus batches] [--no-feeding] [--threads 1]

"versus": the 5 beams of 1,000 sentences, with a vocabulary of 8,000 words and with one of 60 characters. torch has
the same weights and the usual loop: sources sorted by length in batches, packed in the encoder; keys projected once and
shared by the beams of a sentence; ``log_softmax``, the largest 10 of 5 · V scores of each sentence, states put in the
order of their beams; it ends when no sentence of the batch can find anything better, which is the rule of fastrnn too.
Both sides begin with padded ids, and their results are compared before anything is timed. "batches": seconds a
sentence for growing batches.

Models are trained for some minutes first, on sentences that are made up.
"""

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.versus_torch import interleaved, machine
from fastrnn import RNNTranslator
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN, START_ID
from fastrnn.translation import searching

SENTENCES, WIDTH, MOST, UNITS = 1000, 5, 60, 256
TOGETHER = 64  # sentences of a batch of torch's
DATA = {"words": (300, 8000), "characters": (56, 56)}  # tokens of the sentences, and all that are known
SIZES = (1, 4, 16, 64, 256)  # sentences of a batch of ours

# torch is imported where it is used: asv imports every file of this folder, also where there is no torch.


def made_up(n, used, kinds, rng):
    """Return pairs of sentences: words are translated one by one, some in two ways, and some change places."""
    sources, targets = [], []
    for _ in range(n):
        length = max(1, int(rng.normal(13, 4)))
        ids = np.minimum((used * rng.random(length) ** 2).astype(int), used - 1)
        target = [f"t{i}" if rng.random() < 0.9 else f"t{i % 7}" for i in ids]
        for k in range(0, length - 1, 3):
            if ids[k] % 2:
                target[k], target[k + 1] = target[k + 1], target[k]
        sources.append([f"s{i}" for i in ids])
        targets.append(target)
    for first in range(used, kinds, 13):  # words that are known, and rare
        sources.append([f"s{i}" for i in range(first, min(first + 13, kinds))])
        targets.append([f"t{i}" for i in range(first, min(first + 13, kinds))])
    return sources, targets


def make_model(used, kinds, feeding, threads):
    """Return a translator that was trained for a while."""
    X, y = made_up(12_000, used, kinds, np.random.default_rng(0))
    return RNNTranslator(tokenizer=None, embedding_size=UNITS, hidden_size=UNITS, batch_size=64, max_iter=4,
                         learning_rate_init=2e-3, dropout=0.1, label_smoothing=0.0, input_feeding=feeding,
                         random_state=0, n_jobs=threads).fit(X, y)  # fmt: skip


class TorchSearch:
    """torch's modules with the weights of a translator of one layer with additive attention, and its beam search."""

    def __init__(self, network):
        import torch

        layers = {name: {key: torch.tensor(array) for key, array in layer.state_dict().items()}
                  for name, layer in network.layers.items() if layer.parameters}  # fmt: skip
        decoder, units = layers["decoder"], network.decoder.hidden_size
        n_source, size = layers["embedding"]["weight"].shape
        self.feeding = decoder["weight_ih_l0"].shape[1] > size
        nn, vectors = torch.nn, 2 * units
        self.parts = nn.ModuleDict(
            {
                "source": nn.Embedding(n_source, size),
                "encoder": nn.GRU(size, units, bidirectional=True),
                "bridge": nn.Linear(vectors, units),
                "target": nn.Embedding(*layers["target_embedding"]["weight"].shape),
                "decoder": nn.GRUCell(decoder["weight_ih_l0"].shape[1], units),
                "query": nn.Linear(units, len(decoder["attention.bias"])),
                "memory": nn.Linear(vectors, len(decoder["attention.bias"]), bias=False),
                "readout": nn.Linear(*layers["readout"]["weight"].shape[::-1]),
                "output": nn.Linear(*layers["output"]["weight"].shape[::-1]),
            }
        )
        states = {
            "source": layers["embedding"], "encoder": layers["encoder"], "bridge": layers["bridge_h_l0"],
            "target": layers["target_embedding"], "readout": layers["readout"], "output": layers["output"],
            "decoder": {name.removesuffix("_l0"): decoder[name] for name in decoder if name.endswith("_l0")},
            "query": {"weight": decoder["attention.weight_query"], "bias": decoder["attention.bias"]},
            "memory": {"weight": decoder["attention.weight_memory"]},
        }  # fmt: skip
        for name, state in states.items():
            self.parts[name].load_state_dict(state)
        self.score = decoder["attention.score"]

    def encode(self, sources, lengths):
        """Return values (B, S, M), keys (B, 1, S, A), a mask (B, 1, S), and the first state (B, H)."""
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        packed = pack_padded_sequence(self.parts["source"](sources), lengths, enforce_sorted=False)
        values, last = self.parts["encoder"](packed)
        values = pad_packed_sequence(values)[0].transpose(0, 1).contiguous()
        there = torch.arange(values.shape[1]) < lengths[:, None]
        h = torch.tanh(self.parts["bridge"](torch.cat([last[0], last[1]], dim=1)))
        return values, self.parts["memory"](values)[:, None], there[:, None], h

    def attend(self, h, values, keys, there):
        """Return the contexts (B * k, M) of the states (B * k, H) of k beams a sentence."""
        import torch

        batch = len(values)
        query = self.parts["query"](h).view(batch, -1, 1, keys.shape[-1])
        scores = torch.tanh(query + keys) @ self.score  # (B, k, S)
        weights = torch.softmax(scores.masked_fill(~there, -torch.inf), dim=2)
        return torch.bmm(weights, values).flatten(0, 1)

    def log_probs(self, tokens, h, encoded):
        """Return the log probabilities of the next token (n, V), and the states (n, H)."""
        import torch

        x = self.parts["target"](tokens)
        if self.feeding:
            context = self.attend(h, *encoded)
            h = self.parts["decoder"](torch.cat([x, context], dim=1), h)
        else:
            h = self.parts["decoder"](x, h)
            context = self.attend(h, *encoded)
        hidden = torch.tanh(self.parts["readout"](torch.cat([h, context], dim=1)))
        return torch.log_softmax(self.parts["output"](hidden), dim=1), h

    def search(self, batches, length_penalty):
        """Return the score and the tokens of the best sequence of each source of batches (ids, lengths)."""
        import torch

        with torch.inference_mode():
            return [result for batch in batches for result in self.search_batch(*batch, length_penalty)]

    def search_batch(self, sources, lengths, length_penalty):
        """Search for the sources (S, B) of a batch."""
        import torch

        *encoded, h = self.encode(sources, lengths)
        batch, first = len(h), torch.arange(len(h))[:, None]
        h, tokens = h.repeat_interleave(WIDTH, 0), torch.full((batch * WIDTH,), START_ID)
        scores = torch.full((batch, WIDTH), -torch.inf)
        scores[:, 0] = 0
        best = torch.full((batch,), -torch.inf)
        found, written = [None] * batch, torch.empty(batch, WIDTH, 0, dtype=torch.long)
        for step in range(1, MOST + 1):
            log_probs, h = self.log_probs(tokens, h, encoded)
            log_probs[:, NEVER_WRITTEN] = -torch.inf
            classes = log_probs.shape[1]
            totals, places = (scores[:, :, None] + log_probs.view(batch, WIDTH, -1)).flatten(1).topk(2 * WIDTH)
            beams, chosen = places // classes, places % classes
            ended = chosen == END_ID
            ranks = torch.where(ended[:, :WIDTH], totals[:, :WIDTH] / step**length_penalty, -torch.inf)
            top, rank = ranks.max(1)
            for row in torch.nonzero(top > best).flatten().tolist():
                found[row] = written[row, beams[row, rank[row]]].tolist()
            best = torch.maximum(best, top)
            kept = torch.sort(ended.to(torch.uint8), dim=1, stable=True)[1][:, :WIDTH]
            scores, beams, chosen = totals.gather(1, kept), beams.gather(1, kept), chosen.gather(1, kept)
            if step == MOST:
                top, rank = (scores / step**length_penalty).max(1)
                for row in torch.nonzero(top > best).flatten().tolist():
                    found[row] = [*written[row, beams[row, rank[row]]].tolist(), int(chosen[row, rank[row]])]
                best = torch.maximum(best, top)
            elif bool((scores[:, 0] / MOST**length_penalty <= best).all()):
                break
            written = torch.cat([written[first, beams], chosen[:, :, None]], dim=2)
            h, tokens = h[(beams + WIDTH * first).flatten()], chosen.flatten()
        return list(zip(best.tolist(), found, strict=True))


def versus(name, model, sentences, threads, rounds):
    """Compare and time both sides."""
    import torch

    torch.set_num_threads(threads)
    sources = model._read(sentences)
    theirs = TorchSearch(model.network_)
    order = np.argsort(sources.lengths, kind="stable")
    groups = [order[begin : begin + TOGETHER] for begin in range(0, len(order), TOGETHER)]
    batches = []
    for group in groups:
        ids, lengths = sources.padded(group)
        batches.append((torch.tensor(ids, dtype=torch.long), torch.tensor(np.asarray(lengths))))
    for length_penalty in (0.0, 1.0):
        options = {"max_length": MOST, "length_penalty": length_penalty}

        def ours(options=options):
            return searching.candidates_of([model], [sources], None, 1, WIDTH, **options)

        def others(length_penalty=length_penalty):
            return theirs.search(batches, length_penalty)

        found = [part[0] for part in ours()]
        expected = others()
        same = [found[place].ids == ids for place, (_, ids) in zip(order, expected, strict=True)]
        better = np.array([found[place].score - score for place, (score, _) in zip(order, expected, strict=True)])
        # A greedy search goes first, and may find what torch's beam has lost.
        assert np.mean(np.array(same) | (better > 0)) > 0.99, np.mean(same)
        assert better.min() > -1e-3, better.min()
        own, other = np.median(interleaved([ours, others], rounds)[0], axis=0)
        tokens = np.mean([len(each.ids) for each in found])
        print(
            f"{name}, length penalty {length_penalty}: {own:.2f} s, torch {other:.2f} s, ratio {other / own:.1f}; "
            f"{100 * np.mean(same):.1f}% the same, {np.count_nonzero(better > 1e-3)} better, {tokens:.1f} tokens",
            flush=True,
        )


def batches(name, model, sentences, rounds):
    """Print the time a sentence for growing batches."""
    sources = model._read(sentences)

    def search(size):
        searching._SOURCES = size
        searching.candidates_of([model], [sources], None, 1, WIDTH, max_length=MOST)

    times = np.median(interleaved([lambda size=size: search(size) for size in SIZES], rounds)[0], axis=0)
    for size, seconds in zip(SIZES, times, strict=True):
        print(f"{name}, {size} sentences together: {1e3 * seconds / len(sentences):.2f} ms a sentence", flush=True)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--parts", nargs="+", default=["versus", "batches"], choices=["versus", "batches"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-feeding", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(machine(arguments.threads))
    for name in arguments.data:
        used, kinds = DATA[name]
        model = make_model(used, kinds, not arguments.no_feeding, arguments.threads)
        sentences, _ = made_up(SENTENCES, used, used, np.random.default_rng(1))
        with threadpool_limits(arguments.threads):
            if "versus" in arguments.parts:
                versus(name, model, sentences, arguments.threads, arguments.rounds)
            if "batches" in arguments.parts:
                batches(name, model, sentences, arguments.rounds)


if __name__ == "__main__":
    main()
