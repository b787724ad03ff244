"""Language models against the same weights in torch, and ONNX files in onnxruntime against the layers themselves."""

import itertools
import json

import numpy as np
import pytest
from scipy.special import expit, softmax

from fastrnn import (
    MeanEmbeddingClassifier,
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    RNNStepRegressor,
    RNNTagger,
)
from fastrnn.exchange import to_onnx
from fastrnn.layers import CRF, GRU, LSTM, RNN, Recurrent

LINES = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog"] * 5
OPTIONS = {"embedding_size": 6, "hidden_size": 7, "max_iter": 1, "early_stopping": False, "random_state": 0}
LAYERS = {
    "rnn": (RNN, {}),
    "rnn_relu": (RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, {}),
    "gru, reset before": (GRU, {"reset_after": False}),
    "lstm": (LSTM, {}),
}


@pytest.fixture(scope="module", params=["rnn", "gru", "lstm"])
def model(request):
    return RNNLanguageModel(request.param, num_layers=2, **OPTIONS).fit(LINES)


def torch_module(cell, vocabulary_size):
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Embedding(vocabulary_size, 6)
            self.rnn = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](6, 7, 2)
            self.decoder = torch.nn.Linear(7, vocabulary_size)

        def forward(self, tokens):
            return torch.log_softmax(self.decoder(self.rnn(self.encoder(tokens))[0]), -1)

    torch.manual_seed(0)
    return torch, Module()


def log_probs_of(torch, module, ids):
    with torch.no_grad():
        return module(torch.tensor([3, *ids[:-1]])[:, None])[np.arange(len(ids)), 0, ids].numpy()


def test_to_torch(model):
    torch, module = torch_module(model.cell, len(model.vocabulary_))
    weights = model.to_torch(embedding="encoder", recurrent="rnn", output="decoder")
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    ids = model.vocabulary_.encode("the cat and a dog </s>".split()).astype(np.int64)
    expected = log_probs_of(torch, module, ids)
    np.testing.assert_allclose(model.token_log_probs(["the cat and a dog"])[0], expected, atol=1e-5)


def test_from_torch(model):
    torch, module = torch_module(model.cell, len(model.vocabulary_))
    ours = RNNLanguageModel.from_torch(module.state_dict(), model.vocabulary_.tokens)
    ids = ours.vocabulary_.encode("the cat and a dog </s>".split()).astype(np.int64)
    expected = log_probs_of(torch, module, ids)
    np.testing.assert_allclose(ours.token_log_probs(["the cat and a dog"])[0], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
def test_modules_of_any_type(kind):
    torch, module = torch_module("lstm", 5)
    module = module.to(getattr(torch, kind))
    model = RNNLanguageModel.from_torch(module, ["a", "b", "c", "<unk>", "</s>"])
    expected = module.rnn.weight_hh_l0.detach().float().numpy()
    np.testing.assert_array_equal(model.network_.recurrent.parameters["weight_hh_l0"], expected)
    layer = LSTM(6, 7, 2)
    layer.load_state_dict(module.rnn)
    np.testing.assert_array_equal(layer.parameters["weight_hh_l0"], expected)


class Classifier:
    """Makes modules of torch: an embedding or none, a recurrent layer, and a linear layer on its last output."""

    def __init__(self, kind, n_outputs, *, embedding=None, bias=True, **options):
        torch = pytest.importorskip("torch")

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.words = embedding and torch.nn.Embedding(embedding, 5)
                self.rnn = getattr(torch.nn, kind)(5, 6, batch_first=True, **options)
                size = (options.get("proj_size") or 6) * (1 + options.get("bidirectional", False))
                self.head = torch.nn.Linear(size, n_outputs, bias=bias)

            def forward(self, x):
                y, _ = self.rnn(self.words(x) if self.words else x)
                return self.head(y[:, -1])

        torch.manual_seed(0)
        self.torch, self.module = torch, Module()

    def logits(self, x):
        with self.torch.no_grad():
            return self.module(self.torch.as_tensor(x)).double().numpy()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("RNN", {"nonlinearity": "relu"}),
        ("GRU", {"embedding": 9}),
        ("GRU", {"embedding": 9, "bias": False}),
        ("LSTM", {"proj_size": 3, "num_layers": 2}),
    ],
    ids=str,
)
def test_classifiers_from_torch(kind, options):
    theirs, rng = Classifier(kind, 3, **options), np.random.default_rng(0)
    is_ids = "embedding" in options
    x = rng.integers(0, 9, (4, 7)) if is_ids else rng.standard_normal((4, 7, 5)).astype(np.float32)
    model = RNNClassifier.from_torch(theirs.module, [0, 1, 2], pooling="last")
    np.testing.assert_allclose(model.predict_proba(x), softmax(theirs.logits(x), axis=1), atol=1e-5)
    back = model.to_torch("words", "rnn", "head")
    if is_ids:
        back["words.weight"] = back["words.weight"][4:]  # our four special tokens
    if "bias" in options:
        del back["head.bias"]
    theirs.module.load_state_dict({name: theirs.torch.from_numpy(array) for name, array in back.items()})
    np.testing.assert_allclose(softmax(theirs.logits(x), axis=1), model.predict_proba(x), atol=1e-5)


def test_single_logits_from_torch():
    theirs, x = Classifier("GRU", 1), np.random.default_rng(0).standard_normal((4, 7, 5)).astype(np.float32)
    model = RNNClassifier.from_torch(theirs.module, ["no", "yes"], pooling="last")
    np.testing.assert_allclose(model.predict_proba(x)[:, 1], expit(theirs.logits(x)[:, 0]), atol=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_projections_of_language_models_from_torch():
    torch, module = torch_module("lstm", 9)
    module.rnn, module.decoder = torch.nn.LSTM(6, 7, 2, proj_size=4), torch.nn.Linear(4, 9)
    tokens = ["a", "b", "c", "d", "e", "<pad>", "<unk>", "<s>", "</s>"]
    model = RNNLanguageModel.from_torch(module, tokens)
    assert model.proj_size == 4
    log_probs = model.token_log_probs(["a c b"])[0]
    with torch.no_grad():
        expected = module(torch.tensor([8, 0, 2, 1])[:, None])[range(4), 0, [0, 2, 1, 8]].numpy()
    np.testing.assert_allclose(log_probs, expected, atol=1e-5)
    assert isinstance(model.sample(max_length=5, random_state=0)[0], str)
    order = [tokens.index(token) for token in model.vocabulary_.tokens]
    back = model.to_torch("encoder", "rnn", "decoder")
    np.testing.assert_array_equal(back["encoder.weight"], module.encoder.weight.detach().numpy()[order])
    np.testing.assert_array_equal(back["rnn.weight_hr_l1"], module.rnn.weight_hr_l1.detach().numpy())


@pytest.fixture
def onnxruntime(tmp_path):
    """Return a function that writes an ONNX file and returns what onnxruntime makes of it."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")

    def export(write):
        write(tmp_path / "model.onnx")
        graph = onnx.load(tmp_path / "model.onnx").graph
        read = {name for node in graph.node for name in node.input}
        assert {array.name for array in graph.initializer} <= read  # runtimes warn of others
        return runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"]).run

    return export


def randomize(parameters):
    rng = np.random.default_rng(1)
    for array in parameters.values():
        array[...] = rng.uniform(-0.7, 0.7, array.shape)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "options",
    [
        *({"bidirectional": b, "num_layers": n} for b, n in itertools.product((False, True), (1, 2))),
        {"batch_first": True, "bias": False},
        {"reverse": True},
        {"num_layers": 2, "residual": True},
        {"bidirectional": True, "merge": "sum"},
        {"bidirectional": True, "merge": "mean"},
    ],
    ids=str,
)
def test_layers_in_onnxruntime(name, options, onnxruntime):
    cls, extra = LAYERS[name]
    layer = cls(5, 5, random_state=0, **options, **extra)
    rng = np.random.default_rng(0)
    randomize(layer.parameters)
    run = onnxruntime(lambda path: to_onnx(layer, path))
    for steps, lengths in ((6, [6, 2, 4]), (3, [3, 3]), (1, [1])):  # the sizes are open
        batch = len(lengths)
        x = rng.standard_normal((batch, steps, 5) if layer.batch_first else (steps, batch, 5)).astype(np.float32)
        rows = layer.num_layers * layer.directions
        state = [rng.standard_normal((rows, batch, 5)).astype(np.float32) for _ in layer.cell.states]
        feeds = {"x": x, "lengths": np.array(lengths, np.int32)}
        feeds |= {f"{name}0": part for name, part in zip(layer.cell.states, state, strict=True)}
        y, *final = run(None, feeds)
        expected, last = layer.forward(x, tuple(state) if len(state) > 1 else state[0], lengths)
        np.testing.assert_allclose(y, expected, atol=1e-5)
        for ours, theirs in zip(last if len(state) > 1 else (last,), final, strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("cell", ["indrnn", "gru_simple", "mgu", "lstm_peephole", "lstm_coupled"])
def test_cells_that_are_special_cases_in_onnxruntime(cell, onnxruntime):
    layer = Recurrent(cell, 5, 5, 2, bidirectional=True, random_state=0)
    randomize(layer.parameters)
    run = onnxruntime(lambda path: to_onnx(layer, path))
    rng = np.random.default_rng(0)
    x, lengths = rng.standard_normal((6, 3, 5)).astype(np.float32), np.array([6, 2, 4], np.int32)
    state = {f"{name}0": rng.standard_normal((4, 3, 5)).astype(np.float32) for name in layer.cell.states}
    y, *final = run(None, {"x": x, "lengths": lengths, **state})
    parts = tuple(state.values())
    expected, last = layer.forward(x, parts if len(parts) > 1 else parts[0], lengths)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(final, last if len(parts) > 1 else (last,), atol=1e-5)


def test_language_models_in_onnxruntime(model, onnxruntime):
    check_language_model(model, onnxruntime)


@pytest.mark.parametrize(
    "options",
    [{"softmax": "adaptive", "softmax_cutoffs": [3, 8]}, {"softmax": "sampled"}, {"tie_weights": True}],
    ids=str,
)
def test_other_softmaxes_in_onnxruntime(options, onnxruntime):
    check_language_model(RNNLanguageModel("gru", num_layers=2, **OPTIONS, **options).fit(LINES), onnxruntime)


def check_language_model(model, onnxruntime):
    run = onnxruntime(model.to_onnx)
    sentences = ["the cat and a dog", "a cat"]
    ids = [model.vocabulary_.encode([*sentence.split(), "</s>"]) for sentence in sentences]
    lengths = np.array([len(row) for row in ids], np.int32)
    tokens = np.zeros((6, 2), np.int64)
    for column, row in enumerate(ids):
        tokens[: len(row), column] = [3, *row[:-1]]
    states = {f"{name}0": np.zeros((2, 2, 7), np.float32) for name in model.network_.recurrent.cell.states}
    log_probs, *_ = run(None, {"tokens": tokens, "lengths": lengths, **states})
    for column, (sentence, row) in enumerate(zip(sentences, ids, strict=True)):
        got = log_probs[np.arange(len(row)), column, row]
        np.testing.assert_allclose(got, model.token_log_probs([sentence])[0], atol=1e-5)


# ----- classifiers and regressors in onnxruntime ---------------------------------------------------------------------

SMALL = {"hidden_size": 8, "embedding_size": 6, "max_iter": 1, "random_state": 0}
KINDS = [
    {"pooling": "max"},
    {"pooling": "mean", "num_layers": 2, "cell": "gru"},
    {"pooling": "last", "cell": "rnn", "bidirectional": False},
    {"pooling": "last", "num_layers": 2, "residual": True},
    {"pooling": "attention", "cell": "gru"},
]


def series(lengths=(5, 1, 9, 0, 3)):
    rng = np.random.default_rng(0)
    return [1e4 + 30 * rng.standard_normal((length, 3)).astype(np.float32) for length in lengths]


def padded(sequences, steps, filling):
    """Return sequences as a batch of so many steps with `filling` behind their ends, and their lengths."""
    shape = (len(sequences), steps, *np.shape(sequences[0])[1:])
    batch = np.full(shape, filling, np.asarray(sequences[0]).dtype)
    for row, sequence in zip(batch, sequences, strict=True):
        row[: len(sequence)] = sequence
    return batch, np.array([len(sequence) for sequence in sequences])


def padded_ids(model, texts):
    ids = [model.vocabulary_.encode(text.split()).astype(np.int64) for text in texts]
    return padded(ids, max(map(len, ids)) + 2, filling=4)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_series_in_onnxruntime(options, onnxruntime):
    X, y = series(), [0, 1, 2, 0, 1]
    model = RNNClassifier(input="series", **options, **SMALL).fit(X, y)
    randomize(model.network_.all_parameters)
    expected = model.predict_proba(X)
    run = onnxruntime(model.to_onnx)
    for steps, filling in ((9, 0), (12, np.nan), (9, 1e30)):
        batch, lengths = padded(X, steps, filling)
        (probabilities,) = run(None, {"series": batch, "lengths": lengths})
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


TEXTS = ["a cat", "the cat and the dog and a dog", "", "zebra", "a log the"]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_texts_in_onnxruntime(options, onnxruntime):
    model = RNNClassifier(**options, **SMALL).fit(LINES, ["x", "y", "z"] * 5)
    randomize(model.network_.all_parameters)
    tokens, lengths = padded_ids(model, TEXTS)
    (probabilities,) = onnxruntime(model.to_onnx)(None, {"tokens": tokens, "lengths": lengths})
    np.testing.assert_allclose(probabilities, model.predict_proba(TEXTS), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
@pytest.mark.parametrize("truncation", ["start", "end"])
def test_truncation_in_onnxruntime(truncation, onnxruntime):
    options = {"max_length": 4, "truncation": truncation, **SMALL}
    model = RNNClassifier(**options).fit(LINES, ["x", "y", "z"] * 5)
    tokens, lengths = padded_ids(model, TEXTS)
    (probabilities,) = onnxruntime(model.to_onnx)(None, {"tokens": tokens, "lengths": lengths})
    np.testing.assert_allclose(probabilities, model.predict_proba(TEXTS), atol=1e-5)
    model = RNNClassifier(input="series", **options).fit(series(), [0, 1, 2, 0, 1])
    batch, lengths = padded(series(), 11, np.nan)
    (probabilities,) = onnxruntime(model.to_onnx)(None, {"series": batch, "lengths": lengths})
    np.testing.assert_allclose(probabilities, model.predict_proba(series()), atol=1e-5)


def test_several_labels_in_onnxruntime(onnxruntime):
    y = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1]])
    model = RNNClassifier(input="series", **SMALL).fit(series(), y)
    batch, lengths = padded(series(), 9, 0)
    (probabilities,) = onnxruntime(model.to_onnx)(None, {"series": batch, "lengths": lengths})
    np.testing.assert_allclose(probabilities, model.predict_proba(series()), atol=1e-5)


@pytest.mark.parametrize("n_outputs", [None, 1, 2])
def test_regressors_in_onnxruntime(n_outputs, onnxruntime):
    y = 1e3 + np.random.default_rng(0).standard_normal(5 if n_outputs is None else (5, n_outputs))
    model = RNNRegressor(input="series", **SMALL).fit(series(), y)
    batch, lengths = padded(series(), 9, 0)
    (values,) = onnxruntime(model.to_onnx)(None, {"series": batch, "lengths": lengths})
    expected = model.predict(series())
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2), (2, 3)])
def test_averages_in_onnxruntime(ngram_range, onnxruntime, tmp_path):
    options = {"n_buckets": 1000, "max_iter": 1, "random_state": 0}
    model = MeanEmbeddingClassifier(8, (5,), ngram_range, **options).fit(LINES, ["x", "y", "z"] * 5)
    randomize(model.network_.all_parameters)
    tokens, lengths = padded_ids(model, TEXTS)
    run = onnxruntime(model.to_onnx)
    (probabilities,) = run(None, {"tokens": tokens, "lengths": lengths})
    np.testing.assert_allclose(probabilities, model.predict_proba(TEXTS), atol=1e-5)
    for text in TEXTS:  # shorter than an n-gram, and without padding
        ids = model.vocabulary_.encode(text.split()).astype(np.int64)[None]
        (probabilities,) = run(None, {"tokens": ids, "lengths": np.array([ids.size])})
        np.testing.assert_allclose(probabilities, model.predict_proba([text]), atol=1e-5)
    properties = pytest.importorskip("onnx").load(tmp_path / "model.onnx").metadata_props
    metadata = {entry.key: json.loads(entry.value) for entry in properties}
    assert metadata == {"classes": ["x", "y", "z"], "vocabulary": model.vocabulary_.tokens}


# ----- taggers in onnxruntime ----------------------------------------------------------------------------------------


def check_tagger(model, X, feed, lengths, run, metadata):
    """Compare emissions and best paths, decoded by a layer, with those of the model."""
    emissions, *scores = run(None, {**feed, "lengths": lengths})
    for ours, theirs, length in zip(model._emissions(X).parts(), emissions, lengths, strict=True):
        np.testing.assert_allclose(theirs[:length], ours, atol=1e-5)
    layer = CRF(emissions.shape[2])
    layer.load_state_dict(dict(zip(("transitions", "start_transitions", "end_transitions"), scores, strict=True)))
    paths, _ = layer.decode(emissions.swapaxes(0, 1), lengths)
    found = [[metadata["classes"][k] for k in path[:length]] for path, length in zip(paths.T, lengths, strict=True)]
    assert found == [list(labels) for labels in model.predict(X)]


def metadata_of(path):
    properties = pytest.importorskip("onnx").load(path).metadata_props
    return {entry.key: json.loads(entry.value) for entry in properties}


def token_inputs(model, X):
    """Return the inputs of the graph for tokens: ids with something beyond the ends."""
    sequences = model.learned.reader.read(X)
    values, lengths = sequences.padded(np.arange(len(X)))
    places, forms = values[..., 0].T, sequences.forms
    inputs = {"tokens": forms.words[places], "shapes": forms.shapes[places]}
    if forms.characters is not None:
        ids, counts = forms.characters.padded(places.reshape(-1))
        inputs["characters"], inputs["character_lengths"] = (
            ids.T.reshape(*places.shape, -1),
            counts.reshape(places.shape),
        )
    if values.shape[2] > 1:
        inputs["column_1"] = values[..., 1].T
    behind = np.arange(values.shape[0]) >= lengths[:, np.newaxis]
    for array in inputs.values():
        array[behind] = 10**6
    return {name: array.astype(np.int64) for name, array in inputs.items()}, lengths


SENTENCES = [["Rome", "is", "old"], ["Anna", "Lee", "saw", "Rome", "2x"], [], ["new-York"]]
TAGS = [["B-LOC", "O", "O"], ["B-PER", "I-PER", "O", "B-LOC", "O"], [], ["B-LOC"]]


@pytest.mark.parametrize("char_encoder", ["rnn", "ngrams"])
@pytest.mark.parametrize("columns", [False, True])
def test_taggers_of_tokens_in_onnxruntime(char_encoder, columns, onnxruntime, tmp_path):
    X = [[(token, token[-1]) for token in sentence] if columns else sentence for sentence in SENTENCES]
    options = {"char_encoder": char_encoder, "cell": "gru" if columns else "lstm", "scheme": "bioes", **SMALL}
    model = RNNTagger(**options).fit(X, TAGS)
    randomize(model.network_.all_parameters)
    inputs, lengths = token_inputs(model, X)
    run, metadata = onnxruntime(model.to_onnx), metadata_of(tmp_path / "model.onnx")
    assert metadata["scheme"] == "bioes"
    assert metadata["vocabulary"] == model.vocabulary_.tokens
    emissions = run(["emissions"], {**inputs, "lengths": lengths})[0]
    for ours, theirs, length in zip(model._emissions(X).parts(), emissions, lengths, strict=True):
        np.testing.assert_allclose(theirs[:length], ours, atol=1e-5)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_taggers_of_words_alone_in_onnxruntime(output, onnxruntime, tmp_path):
    options = {"char_encoder": None, "shapes": False, "num_layers": 2, "scheme": "iob2", **SMALL}
    model = RNNTagger(output=output, **options).fit(SENTENCES, TAGS)
    randomize(model.network_.all_parameters)
    inputs, lengths = token_inputs(model, SENTENCES)
    run = onnxruntime(model.to_onnx)
    check_tagger(model, SENTENCES, {"tokens": inputs["tokens"]}, lengths, run, metadata_of(tmp_path / "model.onnx"))


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_taggers_of_series_in_onnxruntime(output, onnxruntime, tmp_path):
    X, y = series(), [np.arange(len(part)) % 3 for part in series()]
    model = RNNTagger(input="series", output=output, bidirectional=False, **SMALL).fit(X, y)
    randomize(model.network_.all_parameters)
    batch, lengths = padded(X, 11, np.nan)
    run = onnxruntime(model.to_onnx)
    if output == "crf":
        check_tagger(model, X, {"series": batch}, lengths, run, metadata_of(tmp_path / "model.onnx"))
    else:
        (emissions,) = run(None, {"series": batch, "lengths": lengths})
        for ours, theirs, length in zip(model.decision_function(X), emissions, lengths, strict=True):
            np.testing.assert_allclose(theirs[:length], ours, atol=1e-5)


@pytest.mark.parametrize("kind", ["labels", "values", "value"])
def test_numbers_of_steps_in_onnxruntime(kind, onnxruntime):
    X, rng = series(), np.random.default_rng(0)
    if kind == "labels":
        model = RNNTagger(input="series", **SMALL).fit(X, [rng.integers(2, size=(len(part), 3)) for part in X])
        expected = model.predict_proba(X)
    else:
        sizes = [(len(part), 2)[: 2 - (kind == "value")] for part in X]
        model = RNNStepRegressor(hidden_size=8, max_iter=1, random_state=0).fit(
            X, [1e3 + rng.standard_normal(size) for size in sizes]
        )
        expected = model.predict(X)
    batch, lengths = padded(X, 11, np.nan)
    (found,) = onnxruntime(model.to_onnx)(None, {"series": batch, "lengths": lengths})
    for ours, theirs, length in zip(expected, found, lengths, strict=True):
        assert theirs[:length].shape == ours.shape
        np.testing.assert_allclose(theirs[:length], ours, rtol=1e-6, atol=1e-5)
