"""What `benchmarks.cuda` compares of attention and translators, as `benchmarks.cuda_sides` does of the others."""

import numpy as np

from benchmarks.cuda_sides import CLIP_NORM, TORCH_DEVICE, set_precision
from fastrnn import layers
from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.decoder import PairBatch
from fastrnn.networks.translation import TranslationNetwork
from fastrnn.text import END_ID, SPECIAL_TOKENS, START_ID
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer
from fastrnn.utils.ragged import offsets_of

RATE = 1e-3

# ------------------------------------------------------------------------------------------------------- attention


class OurAttention:
    """Attention of some queries of each sequence to its memory, all with H numbers; lengths differ."""

    def __init__(self, score, shape, precision, device):
        queries, batch, steps, size = shape
        self.layer = layers.Attention(size, size, score, random_state=0, device=device, precision=precision)
        rng, ops = np.random.default_rng(0), self.layer.backend
        self.queries, self.d_contexts = (rng.standard_normal((queries, batch, size), "f4") for _ in range(2))
        self.memory = rng.standard_normal((steps, batch, size), "f4")
        self.lengths = rng.integers((steps + 1) // 2, steps + 1, batch)
        self.lengths[0] = steps
        self._queries, self._memory, self._d_contexts = map(ops.asarray, (self.queries, self.memory, self.d_contexts))

    def forward(self):
        """Run the forward pass of a prediction."""
        return [self.layer.forward(self._queries, self.layer.read(self._memory, self.lengths))[0]]

    def training(self):
        """Run forward and backward; gradients of parameters add up."""
        memory = self.layer.read(self._memory, self.lengths, training=True)
        contexts, _ = self.layer.forward(self._queries, memory, training=True)
        return [contexts, self.layer.backward(self._d_contexts), self.layer.read_backward()]

    def results(self):
        """Return contexts, the gradients of queries and memory, and those of all parameters."""
        self.layer.zero_grad()
        arrays = [*self.training(), *(self.layer.grads[name] for name in sorted(self.layer.grads))]
        return [np.array(self.layer.backend.to_numpy(array), np.float64) for array in arrays]


class TorchAttention:
    """The same by torch, with padded memories and a mask, and the weights of `OurAttention`."""

    def __init__(self, ours, precision):
        import torch

        set_precision(precision)
        self.torch, self.score = torch, ours.layer.score
        weights = {name: torch.tensor(value, device=TORCH_DEVICE) for name, value in ours.layer.state_dict().items()}
        self.weights = {name: weights[name].requires_grad_() for name in sorted(weights)}
        self.queries, self.memory, self.d_contexts = (
            torch.tensor(array, device=TORCH_DEVICE) for array in (ours.queries, ours.memory, ours.d_contexts)
        )
        self.queries.requires_grad_()
        self.memory.requires_grad_()
        lengths = torch.tensor(ours.lengths, device=TORCH_DEVICE)
        self.there = torch.arange(len(self.memory), device=TORCH_DEVICE) < lengths[:, None]  # (B, S)

    def _contexts(self):
        torch, w = self.torch, self.weights
        queries, values = self.queries.transpose(0, 1), self.memory.transpose(0, 1)
        keys = values @ w["weight_memory"].T if "weight_memory" in w else values
        if self.score == "additive":
            queries = queries @ w["weight_query"].T + w["bias"]
            scores = torch.tanh(queries[:, :, None] + keys[:, None]) @ w["score"]
        else:
            scores = torch.bmm(queries, keys.transpose(1, 2))
        shares = torch.softmax(scores.masked_fill(~self.there[:, None], -torch.inf), dim=2)
        return torch.bmm(shares, values).transpose(0, 1)

    def forward(self):
        """Run the forward pass of a prediction."""
        with self.torch.no_grad():
            return [self._contexts()]

    def training(self):
        """Run forward and backward."""
        contexts = self._contexts()
        inputs = self.queries, self.memory, *self.weights.values()
        return [contexts, *self.torch.autograd.grad(contexts, inputs, self.d_contexts)]

    def results(self):
        """Return contexts, the gradients of queries and memory, and those of all parameters."""
        return [array.detach().cpu().double().numpy() for array in self.training()]


# ------------------------------------------------------------------------------------------------------ translators


class OurTranslator:
    """Steps of training on random pairs: a GRU in both directions, and one that attends, with input feeding."""

    def __init__(self, sizes, units, batch, steps, precision, device):
        self.network = TranslationNetwork(
            *sizes, share_embedding=False, cell="gru", embedding_size=units, hidden_size=units, num_layers=1,
            bidirectional=True, attention="additive", input_feeding=True, tie_weights=False, label_smoothing=0.0,
            dropout=0.0, embedding_dropout=0.0, locked_dropout=False, random_state=np.random.RandomState(0),
            n_jobs=None, device=device, precision=precision,
        )  # fmt: skip
        self.optimizer = make_optimizer("adam", learning_rate=RATE, device=device)
        rng = np.random.default_rng(0)
        lengths, self.target_lengths = (rng.integers((steps + 1) // 2, steps + 1, batch) for _ in range(2))
        first, (n_source, n_target) = len(SPECIAL_TOKENS), sizes
        self.sources = Sequences(rng.integers(first, n_source, lengths.sum()).astype("i4"), offsets_of(lengths))
        targets = rng.integers(first, n_target, (self.target_lengths.max(), batch)).astype("i4")
        behind = np.arange(len(targets))[:, None] >= self.target_lengths
        targets[self.target_lengths - 1, np.arange(batch)] = END_ID
        inputs = np.concatenate([np.full((1, batch), START_ID, "i4"), targets[:-1]])
        self.inputs, self.targets = np.where(behind, END_ID, inputs), np.where(behind, -1, targets)
        weights = np.ones(batch, "f4")
        self.batch = PairBatch(self.sources, np.arange(batch), self.inputs, self.targets, self.target_lengths, weights)

    def step(self):
        """Run a step; return the loss."""
        loss, _ = self.network.train_step(self.batch)
        rows = self.network.sparse_rows()
        clip_grad_norm(self.network.grads, CLIP_NORM, rows, self.network.backend)
        self.optimizer.step(self.network.parameters, self.network.grads, rows)
        return loss


class TorchTranslatorTraining:
    """The same steps by the loop of `benchmarks.torch_translator`."""

    def __init__(self, ours, precision):
        import torch

        from benchmarks.torch_translator import TorchTranslator

        set_precision(precision)
        self.torch = torch
        self.module = TorchTranslator.like(ours.network).to(TORCH_DEVICE)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=RATE)
        ids, lengths = ours.sources.padded(np.arange(len(ours.target_lengths)))
        self.lengths = torch.tensor(lengths)  # packing takes those of the host
        self.sources, self.inputs, self.targets = (
            torch.tensor(array.astype("i8"), device=TORCH_DEVICE) for array in (ids, ours.inputs, ours.targets)
        )

    def step(self):
        """Run a step; return the loss."""
        self.optimizer.zero_grad()
        logits = self.module(self.sources, self.lengths, self.inputs)
        loss = self.torch.nn.functional.cross_entropy(logits.flatten(0, 1), self.targets.flatten(), ignore_index=-1)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.module.parameters(), CLIP_NORM)
        self.optimizer.step()
        return loss.item()
