"""States of the language network: texts that are read and scored, rows that are taken and joined."""

import numpy as np
import pytest

from fastrnn.networks.language import LanguageNetwork
from fastrnn.text.batching import IGNORED, Batch

IDS = np.random.default_rng(0).integers(8, size=(5, 3)).astype("i4")  # (T, n)


@pytest.fixture(params=["rnn", "lstm"])
def network(request):
    return LanguageNetwork(
        8, 4, 6, cell=request.param, num_layers=2, dropout=0.0, input_dropout=None, output_dropout=None,
        embedding_dropout=0.0, locked_dropout=False, tie_weights=False, softmax="full", softmax_cutoffs=None,
        softmax_samples=2, counts=None, activity_penalty=0.0, temporal_activity_penalty=0.0, random_state=0, n_jobs=1,
    )  # fmt: skip


def assert_close(first, second):
    """Compare two states."""
    np.testing.assert_allclose(first[0], second[0], rtol=1e-5, atol=1e-6)
    parts = (state[1] if isinstance(state[1], tuple) else (state[1],) for state in (first, second))
    for one, other in zip(*parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_scores_and_states_do_not_depend_on_pieces(network):
    start = network.start(3)
    log_probs, state = network.score(start, IDS)
    probabilities = network.head.predict(start[0])
    np.testing.assert_allclose(log_probs[0], np.log(probabilities[np.arange(3), IDS[0]]), rtol=1e-5)
    (following,) = network.log_probs([Batch(IDS[:-1], IDS[1:], None, True, 4)])
    np.testing.assert_array_equal(log_probs[1:], following)
    assert_close(network.read(start, IDS), state)
    pieces, reached = [], start
    for part in (IDS[:1], IDS[1:3], IDS[3:]):
        piece, reached = network.score(reached, part)
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces), log_probs, rtol=1e-5)
    assert_close(reached, state)


def test_texts_of_different_lengths_end_in_states_of_their_own(network):
    lengths = np.array([5, 2, 0])
    batches = [
        Batch(IDS[begin:end], np.full_like(IDS[begin:end], IGNORED), np.clip(lengths - begin, 0, end - begin),
              begin == 0, end - begin)
        for begin, end in ((0, 3), (3, 5))
    ]  # fmt: skip
    state = network.read_batches(batches, 3)
    for text, length in enumerate(lengths[:2]):
        alone = network.read(network.start(1), IDS[:length, text : text + 1])
        assert_close(network.take(state, np.array([text])), alone)
    np.testing.assert_array_equal(network.take(state, np.array([2]))[0], np.zeros((1, 6)))


def test_rows_are_taken_and_joined(network):
    state = network.read(network.start(3), IDS)
    parts = [network.take(state, np.array(rows)) for rows in ([2], [0, 2])]
    assert_close(network.join(parts), network.take(state, np.array([2, 0, 2])))
    assert network.is_state(parts[0])
    assert not network.is_state(parts[1])  # of two texts
    for other in (None, parts[0][0], (parts[0][0], None), (None, parts[0][1]), (*parts[0], None)):
        assert not network.is_state(other)


def test_distributions_of_the_tokens_that_follow(network):
    text = IDS[:, 0]
    found = np.concatenate(list(network.distributions([text[:2], text[2:]])))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    (log_probs,) = network.log_probs([Batch(text[:-1, np.newaxis], text[1:, np.newaxis], None, True, 4)])
    np.testing.assert_allclose(np.log(found[np.arange(4), text[1:]]), log_probs[:, 0], rtol=1e-5)
