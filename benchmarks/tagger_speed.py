"""The conditional random field and the recurrent tagger beside a matched loop of PyTorch.

FASTRNN_DATA=… python -m benchmarks.tagger_speed [--parts crf training tagging] [--threads 1] [--rounds 5]

"crf": loss and gradient of 25 steps of 32 sequences, for some numbers of tags. "training": epochs of a bidirectional
LSTM of 128 units a direction on words, with a CRF, on batches of 16 tweets of similar lengths: loss, gradients,
clipping, Adam. "tagging": `RNNTagger.predict`, from tokens to labels, and torch's loop from padded ids to tags. Both
sides begin with the same weights and give the same outputs; torch has packed sequences, and a CRF that is vectorised
over the batch.
"""

import argparse
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.classifier_speed import seconds
from benchmarks.versus_torch import check, interleaved, machine
from fastrnn import RNNTagger
from fastrnn.datasets import load_btc, load_glove
from fastrnn.layers import CRF
from fastrnn.networks.sequence import Batch
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer

STEPS, BATCH = 25, 32
TAGS = (5, 9, 23, 50)
RATE, DROPOUT, CLIP_NORM = 2e-3, 0.5, 1.0
PREDICTED_TOGETHER = 64  # sentences of a batch of torch's


# torch is imported where it is used: asv imports every file of this folder, also where there is no torch.


def print_crf(threads, rounds):
    """Print the times of loss and gradient."""
    import torch

    from benchmarks.torch_crf import TorchCRF

    rng = np.random.default_rng(0)
    for size in TAGS:
        emissions = rng.standard_normal((STEPS, BATCH, size)).astype("f4")
        tags, lengths = rng.integers(size, size=(STEPS, BATCH)), np.full(BATCH, STEPS)
        layer, module = CRF(size, random_state=0, n_jobs=threads), TorchCRF(size)
        module.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
        x, y = torch.tensor(emissions, requires_grad=True), torch.tensor(tags)
        mask = torch.ones(y.shape, dtype=torch.bool)

        def ours(layer=layer, emissions=emissions, tags=tags, lengths=lengths):
            layer.zero_grad()
            return layer.loss_and_gradient(emissions, tags, 1.0, lengths)

        def theirs(module=module, x=x, y=y, mask=mask):
            module.zero_grad()
            x.grad = None
            loss = module.losses(x, y, mask).sum()
            loss.backward()
            return loss.item(), x.grad

        (loss, gradient), (other_loss, other_gradient) = ours(), theirs()
        check([loss, gradient, *layer.grads.values()],
              [other_loss, other_gradient, *(getattr(module, name).grad for name in layer.grads)])  # fmt: skip
        own, other = np.median(interleaved([ours, theirs], rounds)[0], axis=0)
        print(f"CRF, {size} tags: {1e3 * own:.2f} ms, torch {1e3 * other:.2f} ms, ratio {other / own:.1f}", flush=True)


def torch_module(network, frozen):
    """Return torch's network with the weights of ours."""
    import torch

    from benchmarks.torch_crf import TorchCRF

    parts = {
        name: {key: torch.tensor(array) for key, array in layer.state_dict().items()}
        for name, layer in network.layers.items()
        if layer.parameters
    }
    inputs, hidden = parts["embedding"]["weight"].shape[1], parts["recurrent"]["weight_hh_l0"].shape[1]
    size = len(parts["output"]["bias"])
    module = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(*parts["embedding"]["weight"].shape),
            "recurrent": torch.nn.LSTM(inputs, hidden, bidirectional=True),
            "output": torch.nn.Linear(2 * hidden, size),
            "crf": TorchCRF(size),
        }
    )
    for name, state in parts.items():
        module[name].load_state_dict(state)
    module["embedding"].weight.requires_grad = not frozen
    return module


def torch_emissions(module, ids, lengths, dropout=0.0):
    """Return the emissions (T, B, K) of torch's network."""
    from torch.nn.functional import dropout as drop
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    x = drop(module["embedding"](ids), dropout)
    y, _ = module["recurrent"](pack_padded_sequence(x, lengths, enforce_sorted=False))
    y, _ = pad_packed_sequence(y)
    return module["output"](drop(y, dropout))


def make(data, target, embedding, frozen, threads):
    """Return a tagger that has seen the data once."""
    model = RNNTagger(output="crf", embedding=embedding, freeze_embedding=frozen, dropout=DROPOUT, char_encoder=None,
                      shapes=False, word_dropout=0.0, n_jobs=threads, random_state=0)  # fmt: skip
    return model.partial_fit(data, target)


def print_training(data, target, threads, rounds):
    """Print the times of epochs with frozen word vectors of 50 numbers, and with trained ones of 100."""
    glove, tokens = load_glove(), sum(map(len, data))
    for name, embedding, frozen in (("frozen", (glove.words, glove.vectors), True), ("trained", None, False)):
        ours, theirs = epochs(make(data, target, embedding, frozen, threads), data, target, frozen, threads)
        times = [(*spent(ours), *spent(theirs)) for _ in range(rounds + 1)][1:]  # the first round is not counted
        own, own_cores, other, other_cores = np.median(times, axis=0)
        print(f"training, vectors {name}: {tokens / own:,.0f} tokens/s, torch {tokens / other:,.0f}, "
              f"ratio {other / own:.1f}; per second of a core {tokens / own_cores:,.0f}, torch "
              f"{tokens / other_cores:,.0f}, ratio {other_cores / own_cores:.1f}", flush=True)  # fmt: skip


def spent(function):
    """Return the seconds of a call, and those that its threads have had a core: other programs do not count there."""
    begin, on_cores = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - begin, time.process_time() - on_cores


def epochs(model, data, target, frozen, threads):
    """Return two functions that train for an epoch: ours and torch's."""
    import torch

    network, sequences = model.network_, model.learned.reader.read(data)
    targets = model.learned.target.encode(target)
    groups = sequences.groups(np.arange(len(data)), 16, np.random.RandomState(0))
    batches = [Batch(sequences, rows, targets[rows], np.ones(len(rows), np.float32)) for rows in groups]
    optimizer = make_optimizer("adam", learning_rate=RATE, n_jobs=threads)

    module = torch_module(network, frozen)
    trained = [p for p in module.parameters() if p.requires_grad]
    torch_optimizer = torch.optim.Adam(trained, lr=RATE)
    tensors = [torch_batch(model, sequences, batch) for batch in batches]
    with torch.no_grad():
        emissions = torch_emissions(module, *tensors[0][:2]).transpose(0, 1)
        check([network.outputs(batches[0]).swapaxes(0, 1)[tensors[0][3].T]], [emissions[tensors[0][3].T]])

    def ours():
        for batch in batches:
            network.train_step(batch)
            rows = network.sparse_rows()
            clip_grad_norm(network.grads, CLIP_NORM, rows)
            optimizer.step(network.parameters, network.grads, rows)

    def theirs():
        for ids, lengths, tags, mask in tensors:
            torch_optimizer.zero_grad()
            emissions = torch_emissions(module, ids, lengths, DROPOUT)
            loss = module["crf"].losses(emissions, tags, mask).sum() / lengths.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
            torch_optimizer.step()
            loss.item()

    return ours, theirs


def torch_batch(model, sequences, batch):
    """Return ids (T, B), lengths (B,), tags (T, B) and mask (T, B) as torch has them."""
    import torch

    rows, lengths = sequences.padded(batch.rows)
    ids = sequences.forms.words[rows[..., 0]]
    mask = np.arange(len(ids))[:, np.newaxis] < lengths
    return tuple(map(torch.tensor, (ids, lengths, np.where(mask, batch.targets.T, 0), mask)))


def print_tagging(data, target, threads, rounds):
    """Print how many tokens a second both sides tag."""
    import torch

    model, tokens = make(data, target, None, False, threads), sum(map(len, data))
    network, sequences = model.network_, model.learned.reader.read(data)
    module = torch_module(network, False)
    groups = sequences.groups(np.arange(len(data)), PREDICTED_TOGETHER)
    targets = model.learned.target.encode(target)
    tensors = [torch_batch(model, sequences, Batch(sequences, rows, targets[rows])) for rows in groups]

    @torch.no_grad()
    def theirs():
        for ids, lengths, _, mask in tensors:
            module["crf"].decode(torch_emissions(module, ids, lengths), mask)

    own, other = np.median(interleaved([lambda: model.predict(data), theirs], rounds)[0], axis=0)
    one = statistics.median([seconds(lambda: model.predict(data[:1])) for _ in range(200)])
    print(f"tagging: {tokens / own:,.0f} tokens/s, torch {tokens / other:,.0f}, ratio {other / own:.1f}; "
          f"one sentence {1e3 * one:.2f} ms", flush=True)  # fmt: skip


PARTS = {"crf": print_crf, "training": print_training, "tagging": print_tagging}


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=2000, help="of the Broad Twitter Corpus")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(machine(arguments.threads))
    with threadpool_limits(arguments.threads, "blas"):
        for part in arguments.parts:
            if part == "crf":
                print_crf(arguments.threads, arguments.rounds)
            else:
                train = load_btc().train
                examples = train.data[: arguments.sentences], train.target[: arguments.sentences]
                PARTS[part](*examples, arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
