"""Networks of taggers that read forwards only, step by step."""

import itertools

import numpy as np
import pytest
from scipy.special import softmax

from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.sequence import Batch
from fastrnn.networks.step_heads import STEP_HEADS, CRFHead
from fastrnn.networks.tagging import TaggerNetwork

STEPS = 4


@pytest.mark.parametrize("kind", STEP_HEADS)
def test_single_steps_give_the_outputs_of_the_whole_sequence(kind):
    network = TaggerNetwork(
        2, None, 3, kind, cell="gru", hidden_size=4, num_layers=1, bidirectional=False, dropout=0.0,
        embedding_dropout=0.0, locked_dropout=False, activity_penalty=0.0, temporal_activity_penalty=0.0,
        freeze_embedding=False, random_state=0, n_jobs=1,
    )  # fmt: skip
    values = np.random.default_rng(0).standard_normal((STEPS, 2)).astype("f4")
    expected = network.outputs(Batch(Sequences(values, np.array([0, STEPS])), np.zeros(1, int)))  # (T, 1, 3)
    emissions, scores, recurrent = [], None, None
    for x in values:
        h, _ = network.recurrent.step(x[None], recurrent)
        scores, recurrent = network.advance(x[None], scores, recurrent)
        emissions.append(network.head.outputs(network.backend.reshape(h, (1, 1, 4)))[0])
        if kind != "crf":
            np.testing.assert_array_equal(scores, emissions[-1])
    np.testing.assert_array_equal(emissions, expected)
    if kind == "crf":
        assert scores.max() == 0


@pytest.mark.parametrize("constrain", [False, True])
def test_a_crf_sums_over_all_paths_of_the_steps_so_far(constrain):
    """The probability of a tag given the steps so far is that of all paths which end there, scores of the end aside."""
    allowed = np.array([True, False]), np.array([[True, True], [False, True]]), np.ones(2, bool)
    crf = CRFHead(3, 2, allowed, constrain, dtype="float64", random_state=0, n_jobs=1).crf
    start, transitions = (crf.backend.to_numpy(crf.parameters[name]) for name in ("start_transitions", "transitions"))
    if constrain:
        start, transitions = (np.where(part, score, -np.inf) for part, score in
                              zip(allowed, (start, transitions), strict=False))  # fmt: skip
    emissions, messages = np.random.default_rng(0).standard_normal((STEPS, 1, 2)), None
    for n in range(1, STEPS + 1):
        messages = crf.advance(emissions[n - 1], messages)
        sums = np.zeros(2)
        for path in itertools.product(range(2), repeat=n):
            score = start[path[0]] + sum(transitions[pair] for pair in itertools.pairwise(path))
            sums[path[-1]] += np.exp(score + sum(emissions[t, 0, tag] for t, tag in enumerate(path)))
        np.testing.assert_allclose(softmax(messages[0]), sums / sums.sum(), rtol=1e-12)


def test_the_last_marginal_of_a_crf_without_scores_of_the_end_is_the_probability_so_far():
    crf = CRFHead(3, 4, dtype="float64", random_state=0, n_jobs=1).crf
    crf.backend.scale(crf.parameters["end_transitions"], 0.0)
    emissions, messages = np.random.default_rng(0).standard_normal((STEPS, 3, 4)), None
    for n in range(1, STEPS + 1):
        messages = crf.advance(emissions[n - 1], messages)
        np.testing.assert_allclose(softmax(messages, axis=1), crf.marginals(emissions[:n])[-1], rtol=1e-10)
