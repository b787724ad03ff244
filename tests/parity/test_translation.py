"""Translators against the same weights in torch, and their ONNX files in onnxruntime against predictions."""

import json

import numpy as np
import pytest

from fastrnn import RNNCaptioner, RNNTranslator
from fastrnn.text.tokens import END_ID, START_ID

SOURCES = ["the cat sat on the mat", "a dog", "", "on the log sat a cat a cat"]
TARGETS = ["el gato", "un perro corre mucho", "nada", "un gato se sienta en un tronco"]
OPTIONS = {"embedding_size": 6, "hidden_size": 7, "max_iter": 80, "learning_rate_init": 0.03, "dropout": 0.0,
           "replace_unknown": False, "random_state": 0}  # fmt: skip
# Models that both torch and ONNX have.
MODELS = [
    {"cell": "gru", "attention": "additive", "input_feeding": True, "num_layers": 2},
    {"cell": "lstm", "attention": "general", "input_feeding": False, "num_layers": 2},
    {"cell": "rnn", "attention": "dot", "input_feeding": False, "tie_weights": True},
    {"cell": "gru", "attention": None, "num_layers": 2, "bidirectional": False},
]


@pytest.fixture(scope="module", params=MODELS, ids=str)
def model(request):
    return RNNTranslator(**OPTIONS, **request.param).fit(SOURCES, TARGETS)


def padded(rows, value):
    """Return rows of different lengths as one array (B, S, …), with a value behind each end, and the lengths."""
    lengths = np.array(list(map(len, rows)))
    together = np.full((len(rows), lengths.max(), *rows[0].shape[1:]), value, rows[0].dtype)
    for row, length, found in zip(together, lengths, rows, strict=True):
        row[:length] = found
    return together, lengths


def ids_of(model):
    """Return the ids of the sources, int64 (B, S), with some number behind the end of each, and their lengths."""
    return padded([model.source_vocabulary_.encode(text.split()).astype(np.int64) for text in SOURCES], 3)


def test_greedy_search_in_onnxruntime(model, tmp_path):
    assert len(set(check_greedy_search(model, SOURCES, *ids_of(model), tmp_path))) > 2


@pytest.mark.parametrize("options", [{"residual": True, "num_layers": 3}, {"share_vocabulary": True}], ids=str)
def test_what_torch_has_not_in_onnxruntime(options, tmp_path):
    model = RNNTranslator(**{**OPTIONS, "max_iter": 2}, **options).fit(SOURCES, TARGETS)
    check_greedy_search(model, SOURCES, *ids_of(model), tmp_path)


@pytest.mark.parametrize("options", [{"hidden_layer_sizes": (5, 7)}, {"hidden_layer_sizes": (), "attention": None}])
def test_captioners_in_onnxruntime(options, tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.normal(3, 2, (length, 4)).astype(np.float32) for length in (3, 1, 0, 5)]
    options = {**OPTIONS, **options}
    del options["replace_unknown"]
    model = RNNCaptioner(**options).fit(X, TARGETS)
    assert len(set(check_greedy_search(model, X, *padded(X, np.nan), tmp_path))) > 2
    single = np.array([x[0] if len(x) else np.ones(4, np.float32) for x in X])
    model = RNNCaptioner(**options).fit(single, TARGETS)
    assert len(set(check_greedy_search(model, single, single[:, None], np.ones(4, np.int64), tmp_path))) > 2


def check_greedy_search(model, X, inputs, lengths, tmp_path):
    """Compare a greedy search on the files of a model with its predictions; return these.

    The sources X are `inputs` (B, S) or (B, S, D) of the lengths (B,) for the graph.
    """
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    paths = [tmp_path / "encoder.onnx", tmp_path / "step.onnx"]
    model.to_onnx(*paths)
    encoder, step = (runtime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths)
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(paths[1]).metadata_props}
    name = encoder.get_inputs()[0].name
    names = [value.name for value in encoder.get_outputs()]
    feeds = dict(zip(names, encoder.run(None, {name: inputs, "lengths": lengths}), strict=True))
    outputs = [value.name for value in step.get_outputs()]
    tokens, written = np.full(len(X), metadata["start"]), []
    feeds |= {"lengths": lengths} if model.attention else {}
    log_probs, weights = [], []
    for _ in range(20):
        found = dict(zip(outputs, step.run(None, {"tokens": tokens, **feeds}), strict=True))
        feeds |= {f"{name}0": found[f"{name}n"] for name in model.network_.decoder.cell.states}
        tokens = found["log_probs"].argmax(axis=1)
        written.append([metadata["vocabulary"][token] for token in tokens])
        log_probs.append(found["log_probs"].max(axis=1))
        weights.append(found.get("weights"))
    ends = [[*column, "</s>"].index("</s>") for column in zip(*written, strict=True)]
    texts = [" ".join(column[:end]) for column, end in zip(zip(*written, strict=True), ends, strict=True)]
    aligns = model.attention is not None and not (isinstance(X, np.ndarray) and X.ndim == 2)
    assert texts == model.predict(X, beam_width=1, max_length=20)
    for i, expected in enumerate(model.predict_log_proba(X, texts)):
        np.testing.assert_allclose(np.array(log_probs)[: ends[i] + 1, i], expected[:20], atol=1e-5)
    for i, (_, _, expected) in enumerate(model.align(X, texts) if aligns else []):
        np.testing.assert_allclose(np.array(weights)[: ends[i] + 1, i, : lengths[i]], expected[:20], atol=1e-5)
    return texts


def torch_module(model):
    """Return a module of torch as `RNNTranslator.to_torch` describes it, which returns the log probabilities (T, V)."""
    torch = pytest.importorskip("torch")
    nn, cell, attention = torch.nn, {"rnn": "RNN"}.get(model.cell, model.cell.upper()), model.attention
    size, hidden = model.embedding_size, model.hidden_size
    directions = 1 + model.bidirectional
    memory = 0 if attention is None else hidden * (directions if attention != "dot" else 1)

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(len(model.source_vocabulary_), size)
            self.target_embedding = nn.Embedding(len(model.target_vocabulary_), size)
            self.encoder = getattr(nn, cell)(size, hidden, model.num_layers, bidirectional=model.bidirectional)
            self.bridge_h, self.bridge_c = (
                nn.ModuleList(nn.Linear(directions * hidden, hidden) for _ in range(model.num_layers)) for _ in range(2)
            )
            fed = size + memory if model.input_feeding else size
            self.decoder = nn.ModuleList(
                getattr(nn, f"{cell}Cell")(hidden + memory if k else fed, hidden) for k in range(model.num_layers)
            )
            if attention == "additive":
                self.attention_query, self.attention_score = nn.Linear(hidden, hidden), nn.Linear(hidden, 1, bias=False)
            if attention in ("additive", "general"):
                self.attention_memory = nn.Linear(memory, hidden, bias=False)
            width = size if model.tie_weights else hidden
            self.readout = nn.Linear(hidden + memory, width)
            self.output = nn.Linear(width, len(model.target_vocabulary_))
            if cell != "LSTM":
                del self.bridge_c

        def forward(self, source, target):
            memory, final = self.encoder(self.embedding(source))
            if attention == "dot":
                memory = memory[:, :hidden] + memory[:, hidden:]
            last = (final[0] if cell == "LSTM" else final)[-directions:].reshape(-1)
            states = [torch.tanh(bridge(last)) for bridge in self.bridge_h]
            if cell == "LSTM":
                states = list(zip(states, [torch.tanh(bridge(last)) for bridge in self.bridge_c], strict=True))
            return torch.stack([self.step(x, memory, states) for x in self.target_embedding(target)])

        def step(self, x, memory, states):
            none = x[:0]
            context = self.context(self.h(states[0]), memory) if attention and model.input_feeding else none
            h = x
            for k, layer in enumerate(self.decoder):
                states[k] = layer(torch.cat([h, context]), states[k])
                h = self.h(states[k])
                if k == 0 and attention and not model.input_feeding:
                    context = self.context(h, memory)
            return torch.log_softmax(self.output(torch.tanh(self.readout(torch.cat([h, context])))), -1)

        def h(self, state):
            return state[0] if cell == "LSTM" else state

        def context(self, query, memory):
            if attention == "additive":
                hidden = torch.tanh(self.attention_query(query) + self.attention_memory(memory))
                scores = self.attention_score(hidden)[:, 0]
            else:
                scores = (self.attention_memory(memory) if attention == "general" else memory) @ query
            return torch.softmax(scores, 0) @ memory

    torch.manual_seed(0)
    return torch, Module()


def torch_log_probs(torch, module, model, source, target):
    """Return the log probabilities of the tokens of a target."""
    ids = np.append(model.target_vocabulary_.encode(target.split()).astype(np.int64), END_ID)
    inputs = np.append(START_ID, ids[:-1])
    words = model.source_vocabulary_.encode(source.split()).astype(np.int64)
    with torch.no_grad():
        return module(torch.from_numpy(words), torch.from_numpy(inputs)).numpy()[np.arange(len(ids)), ids]


PAIRS = [pair for pair in zip(SOURCES, TARGETS, strict=True) if pair[0]]  # torch reads no empty sequence


def test_to_torch(model):
    torch, module = torch_module(model)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in model.to_torch().items()})
    for (source, target), found in zip(PAIRS, model.predict_log_proba(*zip(*PAIRS, strict=True)), strict=True):
        np.testing.assert_allclose(found, torch_log_probs(torch, module, model, source, target), atol=1e-5)


def test_from_torch(model):
    torch, module = torch_module(model)
    if model.tie_weights:
        module.output.weight = module.target_embedding.weight
    source_tokens, target_tokens = model.source_vocabulary_.tokens, model.target_vocabulary_.tokens
    ours = RNNTranslator.from_torch(module, source_tokens, target_tokens)
    names = ("cell", "attention", "num_layers", "bidirectional", "input_feeding", "tie_weights", "hidden_size")
    expected = {name: getattr(model, name) for name in names}
    expected["input_feeding"] &= model.attention is not None
    assert {name: getattr(ours, name) for name in names} == expected
    for (source, target), found in zip(PAIRS, ours.predict_log_proba(*zip(*PAIRS, strict=True)), strict=True):
        np.testing.assert_allclose(found, torch_log_probs(torch, module, model, source, target), atol=1e-5)
