"""What `benchmarks.cuda` compares: functions of ours and of torch's with the same weights and inputs.

Every class has one side's functions for one device. Those of ours run on the CPU too, where they stand in for torch's
in a smoke test. torch is imported where it is used.
"""

import itertools

import numpy as np

from fastrnn import RNNLanguageModel, layers
from fastrnn.kernels.sampling import make_choice
from fastrnn.text import END_ID, SPECIAL_TOKENS, Vocabulary
from fastrnn.text.batching import Batch
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import make_optimizer

CLIP_NORM, RATE = 0.25, 0.5
TORCH_DEVICE = "cuda"


def set_precision(precision):
    """Let torch multiply float32 in float32 or in tf32."""
    import torch

    allowed = precision == "high"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


# ---------------------------------------------------------------------------------------------------------- layers


class OurLayer:
    """A recurrent layer with D = H of ours, and its inputs on the device."""

    def __init__(self, cell, shape, precision, device):
        hidden = shape[2]
        self.layer = getattr(layers, cell)(hidden, hidden, random_state=0, device=device, precision=precision)
        rng = np.random.default_rng(0)
        self.x, self.dy = (rng.standard_normal(shape, "f4") for _ in range(2))
        ops = self.layer.backend
        self._x, self._dy = ops.asarray(self.x), ops.asarray(self.dy)

    def forward(self):
        """Run the forward pass of a prediction."""
        return [self.layer.forward(self._x, check_finite=False)[0]]

    def training(self):
        """Run forward and backward; gradients of parameters add up."""
        y, _ = self.layer.forward(self._x, training=True, check_finite=False)
        return [y, self.layer.backward(self._dy)[0]]

    def results(self):
        """Return y, dx and the gradients of all parameters."""
        self.layer.zero_grad()
        arrays = [*self.training(), *(self.layer.grads[name] for name in self.layer.state_dict())]
        return [np.array(self.layer.backend.to_numpy(array), np.float64) for array in arrays]


class TorchLayer:
    """torch's layer with the weights and inputs of `OurLayer`."""

    def __init__(self, cell, ours, precision):
        import torch

        self.torch, self.precision = torch, precision
        hidden, weights = ours.layer.hidden_size, ours.layer.state_dict()
        dtype = torch.bfloat16 if precision == "medium" else torch.float32
        self.module = getattr(torch.nn, cell)(hidden, hidden)
        self.module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        self.module = self.module.to(device=TORCH_DEVICE, dtype=dtype)
        self.x = torch.tensor(ours.x, device=TORCH_DEVICE, dtype=dtype, requires_grad=True)
        self.dy = torch.tensor(ours.dy, device=TORCH_DEVICE, dtype=dtype)
        self.parameters = [dict(self.module.named_parameters())[name] for name in weights]
        set_precision(precision)

    def forward(self):
        with self.torch.no_grad():
            return [self.module(self.x)[0]]

    def training(self):
        y, _ = self.module(self.x)
        return [y.detach(), *self.torch.autograd.grad(y, (self.x, *self.parameters), self.dy)]

    def results(self):
        set_precision(self.precision)
        return [result.float().cpu().numpy().astype(np.float64) for result in self.training()]


def largest_error(results, reference):
    """Return the largest difference between lists of arrays, as a share of the largest element of the array."""
    return max(
        float(np.abs(own - other).max() / np.abs(other).max())
        for own, other in zip(results, reference, strict=True)
    )  # fmt: skip


# ------------------------------------------------------------------------------------------- conditional random fields


class OurCRF:
    """A CRF of ours: the loss with all gradients, and the best paths."""

    def __init__(self, shape, device):
        steps, batch, size = shape
        self.layer, rng = layers.CRF(size, random_state=0, device=device), np.random.default_rng(0)
        self.emissions = 2 * rng.standard_normal(shape, "f4")
        self.tags = rng.integers(0, size, (steps, batch))
        self._emissions = self.layer.backend.asarray(self.emissions)

    def loss(self):
        """Return the loss and the gradient of the emissions; gradients of parameters add up."""
        return self.layer.loss_and_gradient(self._emissions, self.tags)

    def decode(self):
        """Return the best paths (T, B)."""
        return self.layer.decode(self._emissions)[0]

    def results(self):
        """Return the loss and all gradients."""
        self.layer.zero_grad()
        loss, d_emissions = self.loss()
        arrays = [d_emissions, *(self.layer.grads[name] for name in self.layer.state_dict())]
        return [np.array([loss]), *(np.array(self.layer.backend.to_numpy(array)) for array in arrays)]


class TorchCRF:
    """The usual loop of torch with the weights and emissions of `OurCRF`."""

    def __init__(self, ours):
        import torch

        self.torch, weights = torch, ours.layer.state_dict()
        self.parameters = {
            name: torch.tensor(value, device=TORCH_DEVICE, requires_grad=True) for name, value in weights.items()
        }
        self.emissions = torch.tensor(ours.emissions, device=TORCH_DEVICE, requires_grad=True)
        self.tags = torch.tensor(ours.tags, device=TORCH_DEVICE)

    def _model(self):
        names = "transitions", "start_transitions", "end_transitions"
        return [self.parameters[name] for name in names]

    def loss(self):
        transitions, start, end = self._model()
        emissions, tags = self.emissions, self.tags
        score = start[tags[0]] + end[tags[-1]] + emissions.gather(2, tags[..., None]).sum((0, 2))
        score = score + transitions[tags[:-1], tags[1:]].sum(0)
        alpha = start + emissions[0]
        for row in emissions[1:]:
            alpha = self.torch.logsumexp(alpha[:, :, None] + transitions, 1) + row
        loss = (self.torch.logsumexp(alpha + end, 1) - score).sum()
        return loss.item(), *self.torch.autograd.grad(loss, (emissions, *self.parameters.values()))

    def decode(self):
        with self.torch.no_grad():
            transitions, start, end = self._model()
            best, before = start + self.emissions[0], []
            for row in self.emissions[1:]:
                highest, tags = (best[:, :, None] + transitions).max(1)
                best = highest + row
                before.append(tags)
            path = [(best + end).argmax(1)]
            for tags in reversed(before):
                path.append(tags.gather(1, path[-1][:, None])[:, 0])
            return self.torch.stack(path[::-1]).cpu().numpy()

    def results(self):
        loss, *gradients = self.loss()
        return [np.array([loss]), *(gradient.cpu().numpy() for gradient in gradients)]


# -------------------------------------------------------------------------------------------------- language models


def our_language_model(size, vocabulary_size, precision, device):
    """Return a language model of two LSTM layers, hardly trained, that never draws a special token."""
    tokens = [chr(0x4E00 + n) for n in range(vocabulary_size - len(SPECIAL_TOKENS))]
    model = RNNLanguageModel("lstm", size, size, 2, tokenizer="chars", random_state=0, device=device,
                             precision=precision, vocabulary=Vocabulary.from_tokens(tokens))  # fmt: skip
    model.partial_fit(["".join(tokens[:40])])
    output = model.network_.output
    bias = np.array(output.backend.to_numpy(output.parameters["bias"]))
    bias[: len(SPECIAL_TOKENS)] = -1e9
    output.backend.assign(output.parameters["bias"], bias)
    return model


class OurTraining:
    """Steps of truncated backpropagation on random text: loss, gradients, clipping, update."""

    def __init__(self, size, vocabulary_size, steps, batch, precision, device):
        self.model = our_language_model(size, vocabulary_size, precision, device)
        self.network = self.model.network_
        self.optimizer = make_optimizer("sgd", learning_rate=RATE, device=device)
        text = np.random.default_rng(0).integers(len(SPECIAL_TOKENS), vocabulary_size, (4, steps + 1, batch))
        self.text = text.astype(np.int32)
        self._batches = itertools.cycle(
            [Batch(part[:-1], part[1:], None, n == 0, steps) for n, part in enumerate(self.text)]
        )

    def step(self):
        """Run a step; return the loss."""
        loss, _ = self.network.train_step(next(self._batches))
        rows = self.network.sparse_rows()
        clip_grad_norm(self.network.grads, CLIP_NORM, rows, self.network.backend)
        self.optimizer.step(self.network.parameters, self.network.grads, rows)
        return loss


def torch_network(network, size, vocabulary_size):
    """Return torch's network with the weights of ours."""
    import torch

    parts = {
        "embedding": torch.nn.Embedding(vocabulary_size, size),
        "recurrent": torch.nn.LSTM(size, size, 2),
        "output": torch.nn.Linear(size, vocabulary_size),
    }
    module, ops = torch.nn.ModuleDict(parts), network.backend
    weights = {name: torch.tensor(np.array(ops.to_numpy(value))) for name, value in network.parameters.items()}
    module.load_state_dict(weights)
    return module.to(TORCH_DEVICE)


class TorchTraining:
    """The same steps by torch."""

    def __init__(self, ours, size, vocabulary_size, precision):
        import torch

        set_precision(precision)
        self.torch = torch
        self.module = torch_network(ours.network, size, vocabulary_size)
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=RATE)
        parts = [torch.tensor(part, device=TORCH_DEVICE).long() for part in ours.text]
        self._batches = itertools.cycle([(part[:-1], part[1:], n == 0) for n, part in enumerate(parts)])
        self._state = None

    def step(self):
        """Run a step; return the loss."""
        inputs, targets, fresh = next(self._batches)
        self.optimizer.zero_grad()
        x = self.module["embedding"](inputs)
        y, state = self.module["recurrent"](x, None if fresh else self._state)
        logits = self.module["output"](y)
        loss = self.torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.module.parameters(), CLIP_NORM)
        self.optimizer.step()
        self._state = tuple(part.detach() for part in state)
        return loss.item()


class OurSampling:
    """Characters drawn for some texts at a time."""

    def __init__(self, size, vocabulary_size, streams, length, precision, device):
        self.network = our_language_model(size, vocabulary_size, precision, device).network_
        self.streams, self.length = streams, length
        self._uniforms = np.random.default_rng(0).random((length, streams))
        self._choices = {greedy: make_choice(0 if greedy else 1.0, None, None, vocabulary_size) for greedy in (0, 1)}

    def draw(self, greedy=0):
        """Return the tokens (T, n)."""
        with self.network.held_weights():
            state = self.network.start(self.streams)
            state = self.network.read(state, np.full((1, self.streams), END_ID, np.int32))
            return self.network.generate(state, self._uniforms, self._choices[greedy])[0]


class TorchSampling:
    """The usual loop of torch."""

    def __init__(self, ours, size, vocabulary_size, precision):
        import torch

        set_precision(precision)
        self.torch, self.streams, self.length = torch, ours.streams, ours.length
        self.module = torch_network(ours.network, size, vocabulary_size)

    def draw(self, greedy=0):
        """Return the tokens (T, n)."""
        torch, module = self.torch, self.module
        with torch.no_grad():
            ids, state, drawn = torch.full((1, self.streams), END_ID, device=TORCH_DEVICE), None, []
            for _ in range(self.length):
                y, state = module["recurrent"](module["embedding"](ids), state)
                logits = module["output"](y[0])
                ids = logits.argmax(1)[None] if greedy else torch.multinomial(torch.softmax(logits, 1), 1).T
                drawn.append(ids)
            return torch.cat(drawn).cpu().numpy()


def fit_seconds(clock, size, vocabulary_size, tokens, device, n_jobs, precision="highest"):
    """Return the seconds of a whole `fit` of two LSTM layers, one epoch over random text."""
    words = [f"w{n}" for n in range(vocabulary_size - len(SPECIAL_TOKENS))]
    drawn = np.random.default_rng(0).integers(0, len(words), (tokens // 35, 35)).tolist()
    texts = [[words[n] for n in line] for line in drawn]
    model = RNNLanguageModel("lstm", size, size, 2, vocabulary=Vocabulary.from_tokens(words), batch_size=20,
                             max_iter=1, early_stopping=False, random_state=0, n_jobs=n_jobs, device=device,
                             precision=precision)  # fmt: skip
    return clock(lambda: model.fit(texts))
