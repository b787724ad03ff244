"""Tests of `fastrnn.language.drawing`."""

import itertools

import numpy as np
import pytest

from fastrnn.kernels.sampling import make_choice
from fastrnn.language.drawing import draw_sequences, numbered_uniforms
from tests.language.test_search import END, random_tables


def draw(decoder, inputs, numbers=None, choice=(1.0, None, None), **options):
    inputs = np.array(inputs)
    uniforms = numbered_uniforms(5, np.arange(len(inputs)) if numbers is None else numbers, 6)
    options = {"max_length": 6, **options}
    return draw_sequences(decoder.start(inputs), decoder.advance, decoder.take, end_id=END,
                          choice=make_choice(*choice, 4), uniforms=uniforms, **options)  # fmt: skip


def test_frequencies_are_those_of_the_decoder():
    decoder, n = random_tables(3), 4000
    drawn = draw(decoder, np.ones(n, int), max_length=2)
    for first in range(4):
        ids = [] if first == END else [first]
        share = np.mean([found.ids[:1] == ids for found in drawn])
        assert share == pytest.approx(decoder.tables[1, 0, first] / decoder.tables[1, 0].sum(), abs=0.03)
    for found in drawn[:50]:
        steps = [0, *found.ids] + [END] * (len(found.ids) < 2)
        expected = np.log([decoder.tables[1, a, b] for a, b in itertools.pairwise(steps)]).sum()
        assert found.log_prob == found.score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("choice", [(1.0, None, None), (0.7, 2, None), (1.3, None, 0.8)])
def test_a_sequence_does_not_depend_on_the_others(choice):
    decoder, inputs = random_tables(0), [0, 1, 2, 1, 0]
    limits, prefixes = np.array([6, 2, 5, 6, 6]), [[], [1], [], [3, 1], [0]]
    together = draw(decoder, inputs, choice=choice, max_length=limits, prefixes=prefixes, min_length=1)
    for k, i in enumerate(inputs):
        alone = draw(decoder, [i], [k], choice, max_length=limits[k], prefixes=[prefixes[k]], min_length=1)
        assert alone == [together[k]]
        assert together[k].ids[: len(prefixes[k])] == prefixes[k]
        assert len(together[k].ids) <= limits[k]


def test_temperature_0_is_a_beam_of_one():
    decoder = random_tables(0)
    drawn = draw(decoder, [0, 1, 2], choice=(0, None, None), forbidden=[1])
    found = decoder.search([0, 1, 2], beam_width=1, max_length=6, forbidden=[1])
    assert [each[:1] for each in found] == [[candidate] for candidate in drawn]


def test_random_numbers_have_their_number():
    uniforms = numbered_uniforms(7, [3, 4, 1000], 5)
    assert (uniforms == numbered_uniforms(7, np.arange(1001), 9)[[3, 4, 1000], :5]).all()
    assert len(np.unique(uniforms)) == 15
    assert (uniforms != numbered_uniforms(8, [3, 4, 1000], 5)).all()
