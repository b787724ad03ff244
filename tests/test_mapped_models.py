"""Fitted models whose arrays are mapped into memory, or shared with another process, predict and go on learning."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.model_selection import cross_validate

from fastrnn import DynamicEvaluation, InterpolatedLanguageModel, NGramLanguageModel, RNNLanguageModel
from fastrnn.classification import MeanEmbeddingClassifier, RNNClassifier, RNNRegressor
from fastrnn.layers import Dense, Embedding, Pooling
from fastrnn.layers.large_softmax import AdaptiveSoftmax, SampledSoftmax
from fastrnn.layers.softmax import ProjectedSoftmax, Softmax
from fastrnn.training.optimizers import SGD

LINES = ["the cat sat on the mat .", "the dog sat on the log .", "a cat saw the dog ."] * 6
LABELS = ["sits", "sits", "sees"] * 6
SMALL = {"embedding_size": 6, "hidden_size": 8, "max_iter": 2, "random_state": 0}


def through_buffers(model, folder):
    """Return a copy as another process gets it that shares memory."""
    buffers = []
    pickled = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(pickled, buffers=[bytes(buffer.raw()) for buffer in buffers])


def through_map(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


def through_file(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


WAYS = [through_buffers, through_map, through_file]


def fitted(name):
    lm = RNNLanguageModel("gru", tokenizer="whitespace", learning_rate_init=0.02, early_stopping=False, dropout=0.2)
    if name == "tied":
        return lm.set_params(**SMALL, tie_weights=True).fit(LINES)
    if name == "adaptive":
        return lm.set_params(**SMALL, softmax="adaptive", softmax_cutoffs=[4, 8]).fit(LINES)
    if name == "sampled":
        return lm.set_params(**SMALL, tie_weights=True, softmax="sampled", softmax_samples=4).fit(LINES)
    if name == "attention":
        return RNNClassifier("gru", pooling="attention", **SMALL).fit(LINES, LABELS)
    if name == "series":
        series = np.random.default_rng(0).normal(size=(18, 5, 2))
        return RNNRegressor("gru", input="series", **SMALL).fit(series, series[:, 0, 0])
    if name == "means":
        return MeanEmbeddingClassifier(6, (4,), n_buckets=20, max_iter=2, random_state=0).fit(LINES, LABELS)
    if name == "interpolated":
        return InterpolatedLanguageModel([NGramLanguageModel(n).fit(LINES) for n in (1, 2)]).fit(LINES)
    return NGramLanguageModel(2).fit(LINES)


def arrays_of(model):
    if hasattr(model, "network_"):
        return model.network_.parameters
    return {"weights": model.weights_} if hasattr(model, "models") else model._table._asdict()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["tied", "adaptive", "sampled", "attention", "series", "means", "ngram", "interpolated"]
)
@pytest.mark.filterwarnings("ignore:.*discount")
def test_a_model_on_read_only_arrays_goes_on_learning(name, way, tmp_path):
    model = fitted(name)
    other = way(model, tmp_path)
    if hasattr(model, "network_"):
        arrays = model.network_.parameters
        for key, array in other.network_.parameters.items():
            np.testing.assert_array_equal(array, arrays[key])
            assert array.flags.writeable == (way is through_file)
    data = (LINES[:9],)
    if name == "series":
        data = np.random.default_rng(1).normal(size=(9, 5, 2)), np.arange(9.0)
    elif name in ("attention", "means"):
        data = LINES[:9], LABELS[:9]
    for one in (model, other):
        one.partial_fit(*data)
        if hasattr(one, "warm_start"):
            one.set_params(warm_start=True, max_iter=1).fit(*data)
    expected = arrays_of(model)
    for key, array in arrays_of(other).items():
        np.testing.assert_array_equal(array, expected[key], err_msg=key)


@pytest.mark.parametrize("way", WAYS)
def test_dynamic_evaluation_of_a_model_on_read_only_arrays(way, tmp_path):
    model = DynamicEvaluation(fitted("tied"), 1e-3, rule="rms").fit(LINES)
    other = way(model, tmp_path)
    assert other.perplexity(LINES) == model.perplexity(LINES)
    assert other.fit(LINES).perplexity(LINES) == model.perplexity(LINES)


@pytest.mark.parametrize("way", WAYS)
def test_layers_made_of_layers_keep_sharing_their_arrays(way, tmp_path):
    layers = (Pooling(4, "attention"), AdaptiveSoftmax(8, 20, cutoffs=[5]), ProjectedSoftmax(6, Softmax(4, 10)))
    for layer in layers:
        other = way(layer, tmp_path)
        other.load_state_dict(layer.state_dict())  # copies what cannot be written to
        assert list(other.parameters) == list(layer.parameters)
        for part, names in other._members:
            for inner, outer in names.items():
                assert part.parameters[inner] is other.parameters[outer]
                assert part.grads[inner] is other.grads[outer]


def test_layers_by_themselves_go_on_learning(tmp_path):
    pairs = [(Embedding(10, 4, random_state=0), softmax) for softmax in (Softmax(4, 10), SampledSoftmax(4, 10))]
    ids, targets = np.arange(6), np.arange(6) + 1
    for embedding, softmax in pairs:
        softmax.tie(embedding)
        for way in WAYS:
            twins = (embedding, softmax), way((embedding, softmax), tmp_path)
            for table, output in twins:
                for layer in (table, output):
                    layer.zero_grad()
                assert output.parameters["weight"] is table.parameters["weight"]
                _, dx = output.loss_and_gradient(table.forward(ids, training=True), targets)
                table.backward(dx)
                SGD(0.1).step(table.parameters, table.grads)
            np.testing.assert_array_equal(twins[0][0].parameters["weight"], twins[1][0].parameters["weight"])


def test_an_optimizer_names_parameters_that_cannot_be_changed(tmp_path):
    layer = through_buffers(Dense(3, 2), tmp_path)
    with pytest.raises(ValueError, match=r"parameters\['weight'\] cannot be written to: call make_writable"):
        SGD(0.1).step(layer.parameters, layer.grads)
    layer.make_writable()
    SGD(0.1).step(layer.parameters, layer.grads)


def test_models_of_several_processes_go_on_learning():
    model = MeanEmbeddingClassifier(64, n_buckets=5000, max_iter=1, random_state=0)  # more than joblib sends by value
    model.fit(LINES, LABELS).set_params(warm_start=True)
    (weights,) = joblib.Parallel(n_jobs=2)([joblib.delayed(learn_on)(model)])
    np.testing.assert_array_equal(weights, learn_on(model))
    found = cross_validate(model, LINES, LABELS, n_jobs=2, cv=2, return_estimator=True)
    assert all(estimator.partial_fit(LINES, LABELS).n_iter_ == 2 for estimator in found["estimator"])


def learn_on(model):
    return model.partial_fit(LINES, LABELS).network_.parameters["embedding.weight"]
