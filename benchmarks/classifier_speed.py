"""Training and prediction of the classifiers on movie-review sentences, beside a matched loop of PyTorch.

FASTRNN_DATA=… python -m benchmarks.classifier_speed [--threads 2] [--rounds 3] [--sentences N]

An epoch trains a bidirectional LSTM of 128 units with max pooling and dropout on batches of 32 sentences of similar
lengths: loss, gradients, clipping, Adam. Both sides begin with the same weights and give the same outputs; torch has
packed sequences. Epochs alternate, and the ratio is that of the medians.
"""

import argparse
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.versus_torch import check, machine
from fastrnn import MeanEmbeddingClassifier, RNNClassifier
from fastrnn.datasets import load_glove, load_movie_review_sentences
from fastrnn.networks.sequence import Batch
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer

RATE, DROPOUT, CLIP_NORM = 2e-3, 0.5, 1.0


def torch_module(network, frozen):
    """Return torch's network with the weights of ours."""
    import torch

    parts = {
        name: {key: torch.tensor(array) for key, array in layer.state_dict().items()}
        for name, layer in network.layers.items()
        if layer.parameters
    }
    inputs, hidden = parts["embedding"]["weight"].shape[1], parts["recurrent"]["weight_hh_l0"].shape[1]
    module = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(*parts["embedding"]["weight"].shape),
            "recurrent": torch.nn.LSTM(inputs, hidden, bidirectional=True),
            "output": torch.nn.Linear(2 * hidden, len(parts["output"]["bias"])),
        }
    )
    for name, state in parts.items():
        module[name].load_state_dict(state)
    module["embedding"].weight.requires_grad = not frozen
    return module


def torch_outputs(module, ids, lengths, dropout=0.0):
    """Return the outputs (B, K) of torch's network."""
    from torch.nn.functional import dropout as drop
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    x = drop(module["embedding"](ids), dropout)
    y, _ = module["recurrent"](pack_padded_sequence(x, lengths, enforce_sorted=False))
    y, _ = pad_packed_sequence(y, padding_value=-np.inf)
    return module["output"](drop(y.max(dim=0).values, dropout))


def epochs(texts, labels, embedding, frozen, threads):
    """Return two functions that train for an epoch and return the sum of the batches' losses: ours and torch's."""
    import torch

    model = RNNClassifier(embedding=embedding, freeze_embedding=frozen, dropout=DROPOUT, n_jobs=threads, random_state=0)
    model.partial_fit(texts[:32], labels[:32], np.unique(labels))
    network, sequences = model.network_, model.learned.reader.read(texts)
    targets = model.learned.target.encode(labels)
    groups = sequences.groups(np.arange(len(texts)), 32, np.random.RandomState(0))
    batches = [Batch(sequences, rows, targets[rows], np.ones(len(rows), np.float32)) for rows in groups]
    optimizer = make_optimizer("adam", learning_rate=RATE, n_jobs=threads)

    module = torch_module(network, frozen)
    trained = [p for p in module.parameters() if p.requires_grad]
    torch_optimizer = torch.optim.Adam(trained, lr=RATE)
    padded = [sequences.padded(rows) for rows in groups]
    tensors = [(torch.tensor(ids), torch.tensor(lengths), torch.tensor(targets[rows]))
               for rows, (ids, lengths) in zip(groups, padded, strict=True)]  # fmt: skip
    with torch.no_grad():
        check([network.outputs(batches[0])], [torch_outputs(module, *tensors[0][:2])])

    def ours():
        total = 0.0
        for batch in batches:
            total += network.train_step(batch)[0]
            rows = network.sparse_rows()
            clip_grad_norm(network.grads, CLIP_NORM, rows)
            optimizer.step(network.parameters, network.grads, rows)
        return total

    def theirs():
        total = 0.0
        for ids, lengths, classes in tensors:
            torch_optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(torch_outputs(module, ids, lengths, DROPOUT), classes)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
            torch_optimizer.step()
            total += loss.item()
        return total

    return ours, theirs


def seconds(function):
    """Return how long a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def print_epochs(texts, labels, threads, rounds):
    """Print the times of epochs with frozen and with trained word vectors."""
    glove = load_glove()
    for frozen in (True, False):
        ours, theirs = epochs(texts, labels, (glove.words, glove.vectors), frozen, threads)
        times = [(seconds(ours), seconds(theirs)) for _ in range(rounds + 1)][1:]  # the first round is not counted
        own, other = map(statistics.median, zip(*times, strict=True))
        print(f"epoch, vectors {'frozen' if frozen else 'trained'}: {own:.2f} s, torch {other:.2f} s, "
              f"ratio {own / other:.2f}", flush=True)  # fmt: skip


def print_use(texts, labels, rounds):
    """Print how long fitting the averaging network takes, and how fast both classifiers score raw sentences."""
    models = {"mean": MeanEmbeddingClassifier(random_state=0), "LSTM": RNNClassifier(max_iter=1, random_state=0)}
    for name, model in models.items():
        fit = statistics.median([seconds(lambda model=model: model.fit(texts, labels)) for _ in range(rounds)])
        many = statistics.median([seconds(lambda model=model: model.predict(texts)) for _ in range(rounds)])
        one = statistics.median([seconds(lambda model=model: model.predict(texts[:1])) for _ in range(200)])
        print(f"{name}: fit {fit:.2f} s ({model.n_iter_} epochs), {len(texts) / many:,.0f} sentences/s, "
              f"one sentence {1e3 * one:.2f} ms", flush=True)  # fmt: skip


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, help="take the first of the shuffled ones only")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    reviews = load_movie_review_sentences()
    chosen = np.random.RandomState(0).permutation(len(reviews.data))[: arguments.sentences]
    texts, labels = [reviews.data[i] for i in chosen], reviews.target[chosen]
    print(machine(arguments.threads))
    with threadpool_limits(arguments.threads, "blas"):
        print_epochs(texts, labels, arguments.threads, arguments.rounds)
        print_use(texts, labels, arguments.rounds)


if __name__ == "__main__":
    main()
