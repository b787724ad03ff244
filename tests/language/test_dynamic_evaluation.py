"""Tests of `fastrnn.language.dynamic_evaluation`."""

import copy
import itertools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrnn import DynamicEvaluation, InterpolatedLanguageModel, RNNLanguageModel
from fastrnn.text.batching import Batch

LINES = ["she sells sea shells", "we sell red apples by the sea", "he buys green pears", "red shells"] * 5
TEST = ["red pears", "", "she sells sea shells by unknown sea", "red red red red"]
DROPOUT = {"dropout": 0.3, "recurrent_dropout": 0.2, "weight_dropout": 0.2, "embedding_dropout": 0.2,
           "activity_penalty": 1.0, "temporal_activity_penalty": 1.0, "num_layers": 2}  # fmt: skip


@pytest.fixture(scope="module", params=[True, False], ids=["running text", "sentences"])
def network(request):
    options = {"carry_state": request.param, "max_iter": 3, "early_stopping": False, "random_state": 0, **DROPOUT}
    return RNNLanguageModel("rnn", 6, 7, learning_rate_init=0.02, **options).fit(LINES)


def slow_log_probs(network, sentences, rate, decay, segment, scales=None, epsilon=0.0):
    """Return the log probabilities of sentences: each segment is scored by a model of its own, in a plain loop."""
    adapted, learned = copy.deepcopy(network), network.network_.parameters
    adapted.network_ = network.network_.without_noise()
    vocabulary, result = network.vocabulary_, []
    texts = [[*vocabulary.encode(sentence.split()).tolist(), 3] for sentence in sentences]
    for text in [list(itertools.chain(*texts))] if network.carry_state else texts:
        state, recurrent = adapted.initial_state(), None
        for begin in range(0, len(text), segment):
            before = recurrent
            part = text[begin : begin + segment]
            for token in part:
                result.append(np.log(adapted._next_probabilities(state)[0][token]))
                state = adapted._advance(state, np.array([token], np.int32))
            inputs = np.array([network._start_id if begin == 0 else text[begin - 1], *part[:-1]], np.int32)[:, None]
            adapted.network_._state = before
            adapted.network_.train_step(Batch(inputs, np.array(part)[:, None], None, begin == 0, len(part)))
            # What the state is after the segment, by the weights that read it; its last token is read by the new ones.
            _, recurrent = adapted.network_.hidden(inputs, before)
            for name, weight in adapted.network_.parameters.items():
                gradient, pull = adapted.network_.grads[name].astype(float), decay
                if scales is not None:
                    gradient = gradient / (scales[name] + epsilon)
                    pull = np.minimum(decay * scales[name] / scales[name].mean(), 1)
                weight[...] = weight + pull * (learned[name] - weight.astype(float)) - rate * gradient
            h, following = adapted.network_.hidden(np.array([[part[-1]]], np.int32), recurrent)
            state = h[0], following
    return result


@pytest.mark.parametrize(("rate", "decay", "segment"), [(0.3, 0.0, 5), (0.1, 0.05, 3), (0.2, 0.0, 1)])
def test_log_probabilities_by_the_definition(network, rate, decay, segment):
    before = {name: array.copy() for name, array in network.network_.parameters.items()}
    model = DynamicEvaluation(network, rate, decay, segment=segment)
    expected = slow_log_probs(network, TEST, rate, decay, segment)
    np.testing.assert_allclose(np.concatenate(model.token_log_probs(TEST)), expected, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(model.token_log_probs(TEST)), expected, atol=1e-4)  # begins anew
    assert model.score(TEST) != network.score(TEST)
    for name, array in network.network_.parameters.items():
        np.testing.assert_array_equal(array, before[name])


def test_gradients_divided_by_their_root_mean_squares(network, tmp_path):
    model = DynamicEvaluation(network, 0.002, 0.02, rule="rms", segment=4, epsilon=1e-3)
    with pytest.raises(NotFittedError):
        model.score(TEST)
    with pytest.raises(ValueError, match="X is None: rule='rms' takes the training text"):
        model.fit()
    model.fit(LINES)
    assert {name: array.shape for name, array in model.scales_.items()} == {
        name: array.shape for name, array in network.network_.parameters.items()
    }
    expected = slow_log_probs(network, TEST, 0.002, 0.02, 4, model.scales_, 1e-3)
    np.testing.assert_allclose(np.concatenate(model.token_log_probs(TEST)), expected, atol=1e-4)
    model.save(tmp_path / "model")
    loaded = DynamicEvaluation.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(TEST), model.score_samples(TEST))


def test_root_mean_squares_of_one_batch(network):
    """The whole text in one segment: the root of the squared gradient is its absolute value."""
    model = DynamicEvaluation(network, rule="rms", segment=10**6).fit(["red shells red"] * 20)
    quiet = network.network_.without_noise()
    ids = network.vocabulary_.encode("red shells red </s>".split())
    inputs = np.array([network._start_id, *ids[:-1]])
    streams = [np.repeat(part[:, None], 20, axis=1).astype(np.int32) for part in (inputs, ids)]
    quiet.train_step(Batch(*streams, None, True, 4))
    for name, gradient in quiet.grads.items():
        np.testing.assert_allclose(model.scales_[name], abs(gradient), atol=1e-6)


def test_learning_rate_0_is_the_model_itself(network):
    model = DynamicEvaluation(network, learning_rate=0)
    np.testing.assert_allclose(model.score_samples(TEST), network.score_samples(TEST), atol=1e-5)
    np.testing.assert_array_equal(model.predict_proba(TEST), network.predict_proba(TEST))
    assert model.initial_state()[0].shape == (1, 7)


def test_helps_where_a_text_repeats_itself(network):
    text = ["green apples by green shells"] * 20
    adapted = DynamicEvaluation(network, 0.3)
    assert adapted.perplexity(text) < 0.7 * network.perplexity(text)
    mixture = InterpolatedLanguageModel([network, adapted]).fit(text)
    assert mixture.weights_[1] > 0.5
    assert clone(adapted).model is network


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": 3}, "model must be a fitted RNNLanguageModel, got 3"),
        ({"learning_rate": -1}, "learning_rate must be a number of at least 0, got -1"),
        ({"decay": "no"}, "decay must be a number of at least 0, got 'no'"),
        ({"rule": "adam"}, "rule must be 'sgd' or 'rms', got 'adam'"),
        ({"segment": 0}, "segment must be an integer of at least 1, got 0"),
    ],
)
def test_bad_parameters(network, options, message):
    with pytest.raises(ValueError, match=message):
        DynamicEvaluation(**{"model": network, **options}).score(TEST)


def test_zoneout_is_refused(network):
    model = copy.deepcopy(network)
    model.network_.recurrent.zoneout = (0.1,)
    with pytest.raises(ValueError, match="model must be trained without zoneout"):
        DynamicEvaluation(model).score(TEST)


def test_scales_of_other_weights_are_refused(network):
    model = copy.deepcopy(network)
    adapted = DynamicEvaluation(model, rule="rms").fit(TEST)
    model.set_params(hidden_size=3).fit(TEST)
    with pytest.raises(ValueError, match="has other weights than at fit: fit this DynamicEvaluation again"):
        adapted.score(TEST)
