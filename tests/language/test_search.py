"""Tests of `fastrnn.language.search`, on decoders that are tables: they have neither a vocabulary nor a network."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.language.hypotheses import MostProbable
from fastrnn.language.search import Coverage, beam_search, complete, largest

END = 2  # anywhere but where the language models have it


class Tables:
    """A decoder of several inputs: each has a table of transition probabilities, (V, V).

    A state is an int array (n, 2): the input and the last token of each row.
    """

    def __init__(self, tables):
        self.tables = np.array(tables)
        self.n_rows = []  # of each call of `advance`

    def start(self, inputs):
        state = np.stack([inputs, np.zeros_like(inputs)], axis=1)
        return self._log_probs(state), state

    def advance(self, state, tokens):
        assert tokens.dtype == np.int32
        self.n_rows.append(len(tokens))
        state = np.stack([state[:, 0], tokens], axis=1)
        return self._log_probs(state), state

    def take(self, state, rows):
        return state[rows]

    def _log_probs(self, state):
        with np.errstate(divide="ignore"):
            return np.log(self.tables[state[:, 0], state[:, 1]])

    def search(self, inputs, **options):
        return beam_search(self.start(np.array(inputs)), self.advance, self.take, end_id=END, **options)

    def complete(self, inputs, spell, **options):
        return complete(self.start(np.array(inputs)), self.advance, self.take, spell, **options)


def random_tables(seed, n=3, size=4):
    random_state = np.random.RandomState(seed)
    tables = random_state.dirichlet(np.full(size, 0.5), size=(n, size))
    tables[random_state.random_sample(tables.shape) < 0.1] = 0  # impossible tokens
    return Tables(tables)


def every_sequence(table, max_length, stops=(), forbidden=()):
    """Return the log probability and length of all sequences that a search may return, by their ids."""
    found = {}
    for length in range(1, max_length + 1):
        for ids in itertools.product(range(len(table)), repeat=length):
            ends = [t for t in range(1, length + 1) if ids[t - 1] == END or any(ids[:t][-len(s) :] == s for s in stops)]
            if set(ids) & set(forbidden) or (ends and ends[0] < length) or (not ends and length < max_length):
                continue
            p = np.prod([table[before, token] for before, token in zip((0, *ids), ids, strict=False)])
            if p > 0:
                found[ids[:-1] if ids[-1] == END else ids] = (np.log(p), length)
    return found


@pytest.mark.parametrize("options", [{}, {"length_penalty": 0.7}, {"length_penalty": 1.0}, {"stops": [[1, 3], [3, 3]]},
                                     {"forbidden": [1]}, {"forbidden": [END]}], ids=str)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed, options):
    decoder = random_tables(seed)
    found = decoder.search([0, 1, 2], beam_width=300, max_length=4, n=6, **options)
    penalty = options.get("length_penalty", 0.0)
    stops = [tuple(stop) for stop in options.get("stops", ())]
    for table, candidates in zip(decoder.tables, found, strict=True):
        expected = every_sequence(table, 4, stops, options.get("forbidden", ()))
        scores = sorted((log_p / length**penalty for log_p, length in expected.values()), reverse=True)[:6]
        np.testing.assert_allclose([candidate.score for candidate in candidates], scores, rtol=1e-12)
        for candidate in candidates:
            log_prob, length = expected[tuple(candidate.ids)]
            assert candidate.log_prob == pytest.approx(log_prob, rel=1e-12)
            assert candidate.score == pytest.approx(log_prob / length**penalty, rel=1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.lists(st.integers(0, 2), max_size=5),
    width=st.integers(1, 6),
    length_penalty=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_several_inputs_at_once_are_found_as_one_by_one(seed, inputs, width, length_penalty):
    decoder = random_tables(seed)
    options = {"beam_width": width, "max_length": 6, "n": width, "length_penalty": length_penalty}
    together = decoder.search(np.array(inputs, int), **options)
    assert together == [decoder.search([place], **options)[0] for place in inputs]


def naive_search(decoder, place, width, max_length, n, score, allowed, prefix=(), stops=()):
    """Search for one input with lists, and follow all hypotheses to the end.

    `score(log_p, history)` and `allowed(ids, token)` are functions; a history is the ids before each step.
    """
    following, found = [(0.0, ())], []
    for length in range(1, max_length + 1):
        extensions = []
        for before, ids in following:
            with np.errstate(divide="ignore"):
                log_p = np.log(decoder.tables[place, ids[-1] if ids else 0])
            for token, value in enumerate(log_p.tolist()):
                fits = token == prefix[length - 1] if length <= len(prefix) else allowed(ids, token)
                if fits and value > -np.inf:
                    extensions.append((before + value, (*ids, token)))
        extensions = sorted(extensions, key=lambda entry: -entry[0])[: 2 * width]  # stable
        following = []
        for rank, (total, ids) in enumerate(extensions):
            ends = ids[-1] == END or any(ids[-len(stop) :] == tuple(stop) for stop in stops)
            if ends and length > len(prefix):
                if rank < width:
                    found.append((score(total, ids), total, ids))
            elif len(following) < width:
                following.append((total, ids))
        if length == max_length:
            found += [(score(total, ids), total, ids) for total, ids in following]
    found = sorted(found, key=lambda entry: -entry[0])[:n]
    return [(rank, log_p, list(ids[:-1] if ids[-1] == END else ids)) for rank, log_p, ids in found]


@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.lists(st.integers(0, 2), max_size=5),
    width=st.integers(1, 5),
    n=st.integers(1, 5),
    penalty=st.sampled_from([(0.0, 0.0), (0.5, 0.0), (1.0, 5.0), (2.0, 1.0)]),
    min_length=st.integers(0, 3),
    prefix=st.lists(st.sampled_from([0, 1, 3]), max_size=3),
    stops=st.sampled_from([[], [[1, 3]], [[3], [0, 0]]]),
    covered=st.booleans(),
    greedy_first=st.booleans(),
)
def test_what_is_found_is_that_of_a_naive_search(
    seed, inputs, width, n, penalty, min_length, prefix, stops, covered, greedy_first
):  # fmt: skip
    decoder, n, (power, offset) = random_tables(seed), min(n, width), penalty
    attention = np.random.RandomState(seed % 1000).dirichlet(np.ones(3), size=(3, 4))  # by input and last token
    lengths, prefixes = np.array([2, 3, 1])[inputs], [prefix[: 1 + k] for k in range(len(inputs))]
    limits = np.array([6, 4, 5])[inputs]

    def attend(state):
        weights = attention[state[:, 0], state[:, 1]].copy()
        weights[np.arange(3) >= np.array([2, 3, 1])[state[:, 0], np.newaxis]] = 0
        return weights

    found = decoder.search(
        np.array(inputs, int), beam_width=width, n=n, max_length=limits, length_penalty=power, length_offset=offset,
        coverage=Coverage(0.3, attend, lengths) if covered else None, stops=stops, forbidden=[[1, 1], [0, 3, 0]],
        min_length=min_length, prefixes=prefixes, greedy_first=greedy_first,
    )  # fmt: skip

    def expected(place, source):
        def score(log_p, ids):
            value = log_p / ((offset + len(ids)) / (offset + 1)) ** power
            if covered:
                sums = sum(attention[source, last, : lengths[place]] for last in (0, *ids[:-1]))
                value += 0.3 * np.log(np.minimum(sums, 1)).sum()
            return value

        def allowed(ids, token):
            short = token == END and len(ids) < min_length
            return not short and (*ids[-1:], token) != (1, 1) and (*ids[-2:], token) != (0, 3, 0)

        arguments = limits[place], n, score, allowed, prefixes[place], stops
        best = naive_search(decoder, source, width, *arguments)
        if greedy_first and n == 1:
            best = [*naive_search(decoder, source, 1, *arguments), *best]
        return sorted(best, key=lambda entry: -entry[0])[:n]

    for place, (source, candidates) in enumerate(zip(inputs, found, strict=True)):
        wanted = expected(place, source)
        assert [candidate.ids for candidate in candidates] == [ids for _, _, ids in wanted]
        assert len({tuple(candidate.ids) for candidate in candidates}) == len(candidates)
        np.testing.assert_allclose([candidate[:2] for candidate in candidates], [entry[:2] for entry in wanted],
                                   rtol=1e-12)  # fmt: skip


def test_hypotheses_that_cannot_win_are_dropped():
    table = np.array([[0.0, 0.5, 0.4, 0.1], [0.0, 0.9, 0.05, 0.05], [0, 0, 0, 0], [0.0, 0.5, 0.0, 0.5]])
    decoder = Tables([table])
    found = decoder.search([0], beam_width=3, max_length=9)
    assert found[0][0].ids == []  # 0.4, at the first step
    assert decoder.n_rows == [1, 1, 1]  # 0.5, 0.45 and 0.405 by then; 3 rows at a time if 0.1 were followed
    decoder.n_rows.clear()
    decoder.search([0], beam_width=3, max_length=9, n=3)
    assert max(decoder.n_rows) > 1


@pytest.mark.parametrize("seed", range(3))
def test_the_most_probable_tokens_of_each_row_are_enough(seed):
    decoder, inputs, width = random_tables(seed, size=9), np.array([0, 1, 2, 1]), 3
    forbidden = [4, 1]

    def listed(pair):
        log_probs, state = pair
        log_probs[:, forbidden] = -np.inf
        tokens = np.argsort(-log_probs, axis=1, kind="stable")[:, : 2 * width].astype(np.int32)
        return MostProbable(np.take_along_axis(log_probs, tokens, axis=1), tokens), state

    options = {"end_id": END, "beam_width": width, "max_length": 5, "n": 3, "length_penalty": 0.5}
    found = beam_search(listed(decoder.start(inputs)), lambda state, tokens: listed(decoder.advance(state, tokens)),
                        decoder.take, **options)  # fmt: skip
    assert found == decoder.search(inputs, forbidden=forbidden, **{k: options[k] for k in list(options)[1:]})


@given(seed=st.integers(0, 2**32 - 1), inputs=st.lists(st.integers(0, 2), max_size=5), width=st.integers(2, 4))
def test_steps_of_the_greedy_search_are_not_taken_again(seed, inputs, width):
    found, rows = [], []
    for join in (None, np.concatenate):
        decoder, lengths = random_tables(seed, size=9), []

        def listed(pair):
            tokens = np.argsort(-pair[0], axis=1, kind="stable")[:, : 2 * width].astype(np.int32)
            return MostProbable(np.take_along_axis(pair[0], tokens, axis=1), tokens), pair[1]

        def advance(state, tokens, decoder=decoder, lengths=lengths, listed=listed):
            lengths.append(len(tokens))
            return listed(decoder.advance(state, tokens))

        found.append(beam_search(listed(decoder.start(np.array(inputs, int))), advance, decoder.take, end_id=END,
                                 beam_width=width, max_length=6, greedy_first=True, join=join))  # fmt: skip
        rows.append(sum(lengths))
    assert found[0] == found[1]
    assert rows[1] <= rows[0]


def test_an_equal_probability_prefers_the_first_row_and_token():
    decoder = Tables(np.full((1, 5, 5), 0.2))
    found = decoder.search([0], beam_width=3, max_length=2, n=3, forbidden=[END])
    assert [candidate.ids for candidate in found[0]] == [[0, 0], [0, 1], [0, 3]]


def test_inputs_that_are_done_take_no_rows():
    sure, endless = np.zeros((2, 3, 3))
    sure[:, END] = 1
    endless[:, :2] = 0.5
    decoder = Tables([sure, endless])
    found = decoder.search([0, 1, 0, 1], beam_width=2, max_length=5)
    assert [[candidate.ids for candidate in each][:1] for each in found][::2] == [[[]], [[]]]
    assert all(len(candidate.ids) == 5 for each in found[1::2] for candidate in each)
    assert decoder.n_rows == [4, 4, 4, 4]  # of the two endless ones; after the last token nothing is computed
    decoder.n_rows.clear()
    decoder.search([0, 0])
    assert decoder.n_rows == []


def test_nothing_is_found_where_nothing_is_possible():
    assert Tables(np.zeros((1, 3, 3))).search([0]) == [[]]
    assert Tables(np.zeros((1, 3, 3))).search(np.zeros(0, int)) == []


PIECES = ["", "a", "", "b", "ab"]


def spell_out(_, ids):
    """Spell words of up to three letters; the end completes a word, and so does its third letter."""
    word = "".join(PIECES[i] for i in ids)
    return (word, ids[-1] == END or len(word) == 3) if 0 not in ids and len(word) <= 3 else None


@pytest.mark.parametrize("seed", range(3))
def test_the_probability_of_a_word_is_that_of_all_its_spellings(seed):
    decoder = random_tables(seed, n=2, size=len(PIECES))
    found = decoder.complete([0, 1], spell_out, n=40, max_length=4)
    for table, words in zip(decoder.tables, found, strict=True):
        expected = {}
        for length in range(1, 5):
            for ids in itertools.product(range(1, len(PIECES)), repeat=length):
                complete_before = any((spell_out(0, ids[:t]) or ("", True))[1] for t in range(1, length))
                word, is_complete = spell_out(0, ids) or ("", False)
                p = np.prod([table[before, token] for before, token in zip((0, *ids), ids, strict=False)])
                if is_complete and not complete_before and p > 0:
                    expected[word] = expected.get(word, 0) + p
        assert dict(words) == pytest.approx(expected)
        assert [p for _, p in words] == sorted(dict(words).values(), reverse=True)


@given(seed=st.integers(0, 2**32 - 1), inputs=st.lists(st.integers(0, 2), max_size=5), n=st.integers(1, 4))
def test_several_inputs_at_once_are_completed_as_one_by_one(seed, inputs, n):
    decoder = random_tables(seed, size=len(PIECES))
    together = decoder.complete(np.array(inputs, int), spell_out, n=n)
    assert together == [decoder.complete([place], spell_out, n=n)[0] for place in inputs]


def test_words_are_spelled_for_their_input():
    decoder = random_tables(0, n=2)
    words = decoder.complete([1, 0, 1], lambda place, ids: (place, True))
    assert [[word for word, _ in each] for each in words] == [[0], [1], [2]]
    assert [each[0][1] for each in words] == pytest.approx([decoder.tables[place, 0].sum() for place in (1, 0, 1)])


@given(values=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, -np.inf]), min_size=1), count=st.integers(1, 9))
def test_the_largest_in_order(values, count):
    expected = sorted(range(len(values)), key=lambda i: -values[i])[:count]
    assert largest(np.array(values), count).tolist() == expected
