"""Tests of `fastrnn.language.fusion`."""

import numpy as np
import pytest

from fastrnn.language.fusion import together, with_language_model
from fastrnn.language.search import beam_search
from tests.language.test_search import END, random_tables

TOKENS = ["the", "cat", "</s>", "Zebra"]  # of the tables; the model has no zebra


def triple(decoder, inputs):
    return decoder.start(np.array(inputs)), decoder.advance, decoder.take


@pytest.mark.parametrize("kind", ["ngrams", "network", "mixture"])
def test_a_language_model_is_mixed_in(models, kind):
    model, decoder, inputs = models[kind], random_tables(0), [0, 1, 2, 1]
    options = {"end_id": END, "beam_width": 60, "n": 60, "max_length": 3}
    alone = beam_search(*triple(decoder, inputs), **options)
    mixed = beam_search(*with_language_model(triple(decoder, inputs), model, 0.7, TOKENS), **options)
    for own, both in zip(alone, mixed, strict=True):
        expected = {}
        for _, log_prob, ids in own:
            steps = [TOKENS[i] if TOKENS[i] != "Zebra" else "<unk>" for i in ids] + ["</s>"] * (len(ids) < 3)
            state = model.initial_state()
            for token in steps:
                further, state = model.advance(state, token)
                log_prob += 0.7 * further
            if log_prob > -np.inf:
                expected[tuple(ids)] = log_prob
        assert {tuple(ids): log_prob for _, log_prob, ids in both} == pytest.approx(expected, rel=1e-5)
        assert [c.log_prob for c in both] == sorted((c.log_prob for c in both), reverse=True)
    one_by_one = [beam_search(*with_language_model(triple(decoder, [i]), model, 0.7, TOKENS), **options)[0]
                  for i in inputs]  # fmt: skip
    assert [[c.ids for c in each] for each in mixed] == [[c.ids for c in each] for each in one_by_one]


def test_a_weight_of_zero_is_no_model(models):
    decoder = triple(random_tables(0), [0])
    assert with_language_model(decoder, models["ngrams"], 0.0, TOKENS) is decoder


def test_the_probability_together_is_the_mean():
    first, second = random_tables(1), random_tables(2)
    mean = random_tables(0)
    mean.tables = 0.25 * first.tables + 0.75 * second.tables
    options = {"end_id": END, "beam_width": 20, "n": 20, "max_length": 3}
    found = beam_search(*together([triple(first, [0, 2]), triple(second, [0, 2])], [0.25, 0.75]), **options)
    expected = beam_search(*triple(mean, [0, 2]), **options)
    for got, wanted in zip(found, expected, strict=True):
        assert [c.ids for c in got] == [c.ids for c in wanted]
        np.testing.assert_allclose([c.score for c in got], [c.score for c in wanted], rtol=1e-12)
    one = beam_search(*together([triple(first, [1])], [1.0]), **options)
    assert one == beam_search(*triple(first, [1]), **options)
