"""One fitted object, used by several threads at once: the bits of serial calls, or an error in one sentence."""

import copy
import faulthandler
import gc
import http.client
import http.server
import itertools
import json
import pickle
import sys
import threading

import numpy as np
import pytest

from fastrnn import (
    CacheLanguageModel,
    CRFTagger,
    DynamicEvaluation,
    InterpolatedLanguageModel,
    MeanEmbeddingClassifier,
    NeuralCacheLanguageModel,
    NGramLanguageModel,
    RNNCaptioner,
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    RNNStepRegressor,
    RNNTagger,
    RNNTranslator,
    _memory,
    inspection,
    layers,
)
from fastrnn.kernels import threads

THREADS, CALLS = 8, 200
SECONDS = 300  # until a test that hangs shows where
LINES = ["the cat sat on the mat", "a dog sat on a log", "the mat sat on the dog", "a cat saw the log"] * 6
TEXTS = ["the cat sat", "a log saw a dog on the mat and the cat", "dog", "the mat on the log saw the cat sat"]


@pytest.fixture(autouse=True)
def _switch_often():
    """Let threads alternate as often as they can, and show where they are if they hang."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    sys.setswitchinterval(interval)


def same(a, b):
    """Whether two results are equal to the bit."""
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() if a.dtype != object else (
            a.tolist() == b.tolist()
        )  # fmt: skip
    return a == b


def run_threads(count, work):
    """Run ``work(k)`` in `count` threads; raise the first error of any."""
    errors, start = [], threading.Barrier(count)

    def run(k):
        start.wait()
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]


def check_calls(calls, count=CALLS):
    """Compare `count` calls by each of many threads, each in an order of its own, with serial ones."""
    expected = [call() for call in calls]

    def work(k):
        for place in np.random.default_rng(k).integers(len(calls), size=count):
            assert same(calls[place](), expected[place]), place

    run_threads(THREADS, work)


# ------------------------------------------------------------------------------------------------------- estimators


def recurrent(**options):
    return RNNLanguageModel(
        embedding_size=8, hidden_size=16, max_iter=1, early_stopping=False, random_state=0, **options
    ).fit(LINES)


@pytest.fixture(scope="module")
def language_models():
    network = recurrent(num_layers=2)
    shared = {"vocabulary": network.vocabulary_}
    ngrams = NGramLanguageModel(3, smoothing="witten_bell", **shared).fit(LINES)
    cache = CacheLanguageModel(window=5, **shared).fit()
    return {
        "ngram": ngrams,
        "quantized ngram": NGramLanguageModel(2, smoothing="witten_bell", quantize=True, **shared).fit(LINES),
        "lstm": network,
        "sentences": recurrent(cell="gru", carry_state=False),
        "characters": recurrent(cell="gru", tokenizer="chars", n_jobs=1),
        "adaptive softmax": recurrent(softmax="adaptive", softmax_cutoffs=[3]),
        "cache": cache,
        "mixture": InterpolatedLanguageModel([ngrams, network, cache]).fit(TEXTS),
        "neural cache": NeuralCacheLanguageModel(network, size=6),
        "dynamic evaluation": DynamicEvaluation(network),
    }


NAMES = ("ngram", "quantized ngram", "lstm", "sentences", "characters", "adaptive softmax", "cache", "mixture",
         "neural cache", "dynamic evaluation")  # fmt: skip


def text_calls(model):
    """Return every way to predict with a language model, with inputs of several lengths and sizes."""
    state = model.read("the cat")
    calls = [
        lambda part=TEXTS[first : first + count], method=method: getattr(model, method)(part)
        for method in ("token_log_probs", "score_samples", "score", "perplexity", "predict_proba", "predict")
        for first, count in ((0, 4), (0, 1), (1, 2), (3, 1))
    ]
    for seed, prompt in itertools.product((0, 1), (None, "the cat")):
        options = {"max_length": 7, "prompt": prompt, "random_state": seed}
        calls.append(lambda options=options: model.sample(3, **options))
        calls.append(lambda options=options: model.sample(1, temperature=0.5, **options))
        calls.append(lambda options=options: list(model.stream(**options)))
    return [
        *calls,
        lambda: model.sample(1, max_length=5, state=state, random_state=0),
        lambda: model.beam_search("the cat", n=2, max_length=4),
        lambda: model.complete("the ca", n=2),
        lambda: model.advance(state, "sat")[0],
        lambda: model.advance(model.initial_state(), "the")[0],
        lambda: inspection.surprisal(model, TEXTS[1]).bits,
    ]


@pytest.mark.parametrize("name", NAMES)
def test_language_models_give_serial_bits(language_models, name):
    model = language_models[name]
    calls = text_calls(model)
    if name != "characters":
        calls.append(lambda: list(model.fill("the ___ sat", n=3)))
    check_calls(calls)


def test_layers_on_teams_of_threads_give_serial_bits(language_models, monkeypatch):
    """Several callers, each with helpers of its own."""
    model = language_models["lstm"]
    calls = [lambda part=TEXTS[:count]: model.token_log_probs(part) for count in (1, 2, 4)]
    alone = [call() for call in calls]
    monkeypatch.setattr(threads, "_FLOPS_PER_THREAD", 1000)
    monkeypatch.setattr(threads, "effective_n_jobs", lambda n_jobs: 2)
    assert same([call() for call in calls], alone)
    check_calls(calls)


def series(seed, sizes):
    random = np.random.default_rng(seed)
    return [random.standard_normal((size, 3)) for size in sizes]


def fitted_classifiers():
    labels = ["x", "y"] * 12
    options = {"hidden_size": 16, "max_iter": 1, "early_stopping": False, "random_state": 0}
    steps = series(0, [3, 5, 2, 6] * 6)
    values = [float(part.sum()) for part in steps]
    read = {"input": "series", **options}
    yield "mean", MeanEmbeddingClassifier(max_iter=1, early_stopping=False, random_state=0).fit(LINES, labels)
    yield "text", RNNClassifier(embedding_size=8, pooling="attention", **options).fit(LINES, labels)
    yield "series", RNNClassifier("gru", pooling="max", bidirectional=False, **read).fit(steps, labels)
    yield "regressor", RNNRegressor("gru", **read).fit(steps, values)
    del options["early_stopping"]
    spans = [[(0, line.index(" "), "X")] for line in LINES]
    yield "crf tagger", CRFTagger(input="text").fit(LINES, spans)
    yield "tagger", RNNTagger(input="text", embedding_size=8, char_hidden_size=8, **options).fit(LINES, spans)
    yield "series tagger", RNNTagger("gru", input="series", **options).fit(steps, [part[:, 0] > 0 for part in steps])
    yield "translator", RNNTranslator(embedding_size=8, **options).fit(LINES, [line[::-1] for line in LINES])
    yield "captioner", RNNCaptioner(embedding_size=8, **options).fit(steps, LINES)
    yield "step regressor", RNNStepRegressor("gru", bidirectional=False, **options).fit(steps, steps)


@pytest.fixture(scope="module")
def classifiers():
    return dict(fitted_classifiers())


def classifier_calls(model):
    """Return every way to predict with an estimator of sequences."""
    inputs = series(1, [4, 1, 7, 2]) if model.input == "series" else TEXTS
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
    return [
        lambda part=inputs[first : first + count], method=method: getattr(model, method)(part)
        for method in names
        if hasattr(model, method)
        for first, count in ((0, 4), (0, 1), (1, 2), (3, 1))
    ]


def writer_calls(model):
    """Return every way to predict with an estimator that writes sequences."""
    inputs = series(1, [4, 1, 7, 2]) if isinstance(model, RNNCaptioner) else TEXTS
    for part in (slice(0, 4), slice(0, 1), slice(1, 3)):
        X, Y = inputs[part], TEXTS[part]
        yield lambda X=X: model.predict(X, beam_width=2, max_length=3)
        yield lambda X=X: model.sample(X, 2, max_length=3, random_state=0)
        yield lambda X=X, Y=Y: (model.transform(X), model.predict_log_proba(X, Y), model.score_samples(X, Y))
    yield lambda: [part.weights for part in model.align(inputs, TEXTS)]


def step_by_step(model, steps):
    """Return what a model predicts for a series that it reads step by step."""
    state, predicted = model.initial_state(), []
    for x in steps:
        prediction, state = model.advance(state, x)
        predicted.append(prediction)
    return np.array(predicted)


@pytest.mark.parametrize("name", ["mean", "text", "series", "regressor", "crf tagger", "tagger", "series tagger",
                                  "step regressor"])  # fmt: skip
def test_classifiers_give_serial_bits(classifiers, name):
    model = classifiers[name]
    model = copy.deepcopy(model)  # so that the threads come to weights that nobody has prepared
    calls = classifier_calls(model)
    if name in ("mean", "text"):
        calls += [lambda text=text: inspection.explain(model, text).contributions for text in TEXTS[:2]]
    if name == "step regressor":
        calls += [lambda part=part: step_by_step(model, part) for part in series(1, [4, 7])]
        calls.append(lambda: model.generate(series(1, [4])[0], 3))
    check_calls(calls)


@pytest.mark.parametrize("name", ["translator", "captioner"])
def test_writers_of_sequences_give_serial_bits(classifiers, name):
    check_calls(list(writer_calls(copy.deepcopy(classifiers[name]))), count=40)


def test_the_first_predictions_of_all_threads_are_right(classifiers):
    """Weights that are prepared once are there whole or not at all."""
    model = classifiers["series"]
    inputs = series(2, [5, 3])
    expected = model.predict_proba(inputs)
    for _ in range(30):
        fresh = pickle.loads(pickle.dumps(model))
        run_threads(4, lambda k, fresh=fresh: np.testing.assert_array_equal(fresh.predict_proba(inputs), expected))
        fresh.partial_fit(inputs, ["x", "y"])  # whatever was prepared is let go


# ------------------------------------------------------------------------------------------------------------ layers


def layer_calls():
    random = np.random.default_rng(0)
    x, ids = random.standard_normal((6, 4, 8)).astype("float32"), random.integers(0, 10, (6, 4))
    lstm = layers.LSTM(8, 16, 2, bidirectional=True, random_state=0)
    gru = layers.GRU(8, 16, random_state=0)
    projected = layers.LSTM(8, 16, proj_size=4, random_state=0)
    dense = layers.Dense(8, 5, activation="tanh", random_state=0)
    embedding = layers.Embedding(10, 8, random_state=0)
    softmax, pooling = layers.Softmax(8, 20, random_state=0), layers.Pooling(8, "attention", random_state=0)
    bag = layers.EmbeddingBag(10, 4, random_state=0)
    dropout = layers.Dropout(0.5)
    for steps, batch, lengths in ((6, 4, None), (6, 4, [6, 0, 3, 2]), (1, 1, None), (5, 2, [2, 5])):
        part = np.ascontiguousarray(x[:steps, :batch])
        yield lambda part=part, lengths=lengths: lstm.forward(part, lengths=lengths)
        yield lambda part=part, lengths=lengths: gru.forward(part, lengths=lengths, return_all_states=True)
        yield lambda part=part, lengths=lengths: projected.forward(part, lengths=lengths)
        yield lambda part=part: (dense.forward(part), softmax.probabilities(part), dropout.forward(part))
        yield lambda part=part, lengths=lengths: pooling.forward(part, lengths)
        yield lambda part=part, ids=ids[:steps, :batch]: softmax.log_probs(part, ids)
        yield lambda ids=ids[:steps, :batch]: gru.forward(embedding.embedded(ids))[0]
        yield lambda ids=ids[:steps, :batch]: embedding.forward(ids)
        yield lambda ids=ids[:steps, 0]: bag.forward(ids, [0, len(ids)])

    def held():
        with gru.held_weights():
            (y, state), rows = gru.step(x[0]), ids[0]
            return [gru.forward(x[t : t + 1])[0] for t in range(3)], gru.step(embedding.embedded(rows), state), y

    yield held


def test_layers_give_serial_bits():
    check_calls(list(layer_calls()))


def test_threads_that_come_and_go_leave_memory_as_it_is():
    layer = layers.LSTM(8, 32, random_state=0)
    x, sizes = np.ones((5, 3, 8), "float32"), []
    expected = layer.forward(x)[0]

    def work():
        results.append(np.array_equal(layer.forward(x)[0], expected))

    for _ in range(2):
        results = []
        for _ in range(250):
            callers = [threading.Thread(target=work) for _ in range(4)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        assert len(results) == 1000
        assert all(results)
        gc.collect()
        sizes.append((_memory._pool.n_bytes, len(gc.get_objects())))
        assert len(_memory._rooms[layer.dtype]) <= _memory._MOST_ROOMS
    assert sizes[1][0] <= sizes[0][0]
    assert sizes[1][1] - sizes[0][1] < 500
    assert len(threads._idle_boards) < 100


# --------------------------------------------------------------------------------------------------- what is refused


def meanwhile(begin, during):
    """Run ``during()`` while another thread is in ``begin(entered, go_on)``; return the error of either, or None."""
    entered, go_on, errors = threading.Event(), threading.Event(), []

    def run():
        try:
            begin(entered, go_on)
        except RuntimeError as error:
            errors.append(error)
        entered.set()

    thread = threading.Thread(target=run)
    thread.start()
    entered.wait()
    try:
        during()
    except RuntimeError as error:
        errors.append(error)
    go_on.set()
    thread.join()
    return str(errors[0]) if errors else None


def pausing(sequences, entered, go_on):
    """Yield sequences, and pause behind the first."""
    for place, sequence in enumerate(sequences):
        yield sequence
        if not place:
            entered.set()
            go_on.wait()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ["ngram", "lstm"])
def test_what_is_being_trained_is_used_by_no_other_thread(language_models, name, method):
    model = copy.deepcopy(language_models[name])

    def train(entered, go_on):
        getattr(model, method)(pausing(LINES, entered, go_on))

    for other in ("predict", "fit", "partial_fit", "score", "save"):
        error = meanwhile(train, lambda other=other: getattr(model, other)(TEXTS))
        kind = type(model).__name__
        assert error.startswith(f"{kind}.{other} was called while another thread trains the same {kind}"), error
    assert "trains the same" in meanwhile(train, lambda: inspection.surprisal(model, TEXTS[0]))
    assert meanwhile(train, lambda: copy.deepcopy(model).predict(TEXTS)) is None
    assert meanwhile(train, lambda: model.get_params()) is None


def test_what_is_being_read_is_not_trained(language_models):
    model = copy.deepcopy(language_models["lstm"])
    mixture = InterpolatedLanguageModel([model, language_models["cache"]], weights=[0.5, 0.5]).fit()

    def read(entered, go_on):
        mixture.predict(pausing(TEXTS, entered, go_on))

    assert meanwhile(read, lambda: model.predict(TEXTS)) is None
    assert "uses the same RNNLanguageModel" in meanwhile(read, lambda: model.partial_fit(LINES))
    assert "uses the same InterpolatedLanguageModel" in meanwhile(read, lambda: mixture.fit(TEXTS))


def test_an_estimator_can_be_used_again_after_an_error(language_models):
    model = copy.deepcopy(language_models["ngram"])
    with pytest.raises(ValueError, match="X"):
        model.fit([])
    run_threads(2, lambda k: model.predict(TEXTS))
    model.partial_fit(LINES)


def test_a_layer_is_trained_by_one_thread(monkeypatch):
    layer, x = layers.GRU(8, 16, random_state=0), np.ones((5, 3, 8), "float32")
    y, _ = layer.forward(x, training=True)
    elsewhere = []

    def run():
        try:
            layer.backward(y)
        except RuntimeError as error:
            elsewhere.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert elsewhere[0].startswith("GRU.backward was called in another thread than the forward pass before it")
    layer.backward(y)  # a prediction or a refused call has not touched what was kept

    def train(entered, go_on):
        def pause(*arguments):
            entered.set()
            go_on.wait()
            return run_layers(*arguments)

        monkeypatch.setattr(layer, "_run", pause)
        layer.forward(x, training=True)

    run_layers = layer._run
    error = meanwhile(train, lambda: (monkeypatch.undo(), layer.forward(x, training=True)))
    assert error.startswith("GRU.forward was called while another thread trains the same layer")


def test_predictions_leave_what_backward_needs():
    layer, x = layers.LSTM(8, 16, random_state=0), np.random.default_rng(0).standard_normal((5, 3, 8))
    twin = copy.deepcopy(layer)
    for model in (layer, twin):
        y, _ = model.forward(x, training=True)
        if model is layer:
            model.forward(2 * x)
        model.backward(y)
    assert all(same(layer.grads[name], twin.grads[name]) for name in layer.grads)


# ------------------------------------------------------------------------------------------------------------ servers


def test_a_server_answers_as_a_serial_call(classifiers):
    model = classifiers["text"]
    answers = {text: model.predict_proba([text]).tolist() for text in TEXTS}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            body = json.dumps(model.predict_proba([text]).tolist()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    def ask(k):
        for place in np.random.default_rng(k).integers(len(TEXTS), size=50):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            connection.request("POST", "/", TEXTS[place].encode())
            assert json.loads(connection.getresponse().read()) == answers[TEXTS[place]]
            connection.close()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            run_threads(4, ask)
        finally:
            server.shutdown()
            thread.join()
