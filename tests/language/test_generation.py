"""Tests of `fastrnn.language.generation`, on a model whose distribution is given, and on models that learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from fastrnn import CacheLanguageModel, NGramLanguageModel, RNNLanguageModel
from fastrnn.kernels.sampling import make_choice
from fastrnn.language.generation import choose_tokens
from tests.fakes import START_ROW, TwoRows

LINES = ["the cat sat on the mat", "the car is here", "a cat is on the car", "the can is red ."] * 5
PIECES = {"embedding_size": 8, "hidden_size": 16, "learning_rate_init": 0.02, "early_stopping": False}


def uniforms(n):
    return np.random.RandomState(0).random_sample(n)


KINDS = pytest.mark.parametrize("kind", ["ngrams", "network", "mixture"])


# ----- drawing ------------------------------------------------------------------------------------------------------


def drawn_shares(row, n=20000, temperature=1.0, top_k=None, top_p=None):
    probabilities = np.tile(np.array(row, dtype=float), (n, 1))
    ids = choose_tokens(probabilities, make_choice(temperature, top_k, top_p, len(row)), uniforms(n))
    assert ids.dtype == np.int32
    return np.bincount(ids, minlength=len(row)) / n


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.05, 0.5, 0.3, 0.05]),
        ({"temperature": 0.5}, [0.0025, 0.25, 0.09, 0.0025]),
        ({"temperature": 1e-3}, [0, 1, 0, 0]),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"temperature": 0, "top_k": 3, "top_p": 0.9}, [0, 1, 0, 0]),
        ({"temperature": 1e9}, [1, 1, 1, 1]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 0.5, 0.3, 0]),
        ({"top_k": 100}, [0.05, 0.5, 0.3, 0.05]),
        ({"top_p": 0.5}, [0, 1, 0, 0]),  # 0.5 of 0.9 can be drawn
        ({"top_p": 0.56}, [0, 0.5, 0.3, 0]),
        ({"top_p": 1.0}, [0.05, 0.5, 0.3, 0.05]),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1, 0, 0]),  # 0.5 of the 0.8 that top_k leaves
        ({"temperature": 2, "top_k": 2}, [0, 0.5**0.5, 0.3**0.5, 0]),
    ],
)
def test_choice(options, expected):
    shares = drawn_shares(START_ROW, **options)
    assert not shares[:3].any()
    expected = np.array(expected) / np.sum(expected)
    np.testing.assert_allclose(shares[3:], expected, atol=0.015)
    assert not shares[3:][expected == 0].any()


def test_choice_where_nothing_can_be_drawn():
    assert drawn_shares([0, 0, 0, 0, 0, 0, 0], 10)[3] == 1
    assert drawn_shares([0.2, 0.5, 0.3, 0, 0, 0, 0], 10, temperature=0.1, top_k=1, top_p=0.5)[3] == 1


@given(
    rows=st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=5),
    temperature=st.sampled_from([0, 0.01, 0.7, 1.0, 3.0]),
    top_k=st.none() | st.integers(1, 7),
    top_p=st.none() | st.floats(0.01, 1),
)
def test_only_tokens_with_a_probability_are_drawn(rows, temperature, top_k, top_p):
    probabilities = np.array(rows)
    ids = choose_tokens(probabilities.copy(), make_choice(temperature, top_k, top_p, 6), uniforms(len(rows)))
    for row, chosen in zip(probabilities, ids, strict=True):
        assert chosen >= 3
        assert row[chosen] > 0 or not row[3:].any()


def test_thelargest_random_number_is_harmless():
    rows = np.array([[0, 0, 0, 1.0, 0, 0], [0, 0, 0, 0.1, 0.2, 0], [0, 0, 0, 1e-320, 0, 0]])
    assert choose_tokens(rows, make_choice(1.0, None, None, 6), np.full(3, 1 - 2**-53)).tolist() == [3, 4, 3]


def test_sample(model, monkeypatch):
    texts = model.sample(4000, max_length=2, random_state=0)
    assert len(texts) == 4000
    assert {token for text in texts for token in text.split()} == {"a", "b", "c"}
    assert max(len(text.split()) for text in texts) == 2
    later = [text.split()[1:] for text in texts if text]
    assert later.count([]) / len(later) == pytest.approx(0.3 / 0.9, abs=0.03)
    assert later.count(["c"]) / len(later) == pytest.approx(0.4 / 0.9, abs=0.03)
    assert texts == model.sample(4000, max_length=2, random_state=0)
    assert texts != model.sample(4000, max_length=2, random_state=1)
    monkeypatch.setattr("fastrnn.language.contexts._BLOCK", 70)  # ten texts at a time
    assert len(model.sample(25, random_state=0)) == 25


@KINDS
def test_temperature_0_takes_the_most_probable_token(models, kind):
    model, expected = models[kind], []
    while len(expected) < 12:
        p = model.predict_proba([expected])[0]
        p[[0, 1, 2]] = 0
        token = model.vocabulary_.tokens[p.argmax()]
        if token == "</s>":
            break
        expected.append(token)
    options = {"temperature": 0, "max_length": 12}
    for others in ({}, {"top_k": 3}, {"top_p": 0.1}, {"random_state": 1}):
        assert model.sample(3, **options, **others) == [" ".join(expected)] * 3
        assert list(model.stream(**options, **others)) == expected


def test_sample_with_a_prompt(model):
    assert model.sample(prompt="Z b", top_k=1, max_length=3) == ["Z b c c c"]
    assert model.sample(prompt=["b"], top_k=1, max_length=1) == ["b c"]
    assert model.sample(prompt="", top_k=1, max_length=1) == ["a"]
    assert TwoRows(lowercase=True).fit(["a"]).sample(prompt="B", top_k=1, max_length=1) == ["b c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be an integer of at least 1, got 0"),
        ({"max_length": 2.5}, "max_length must be an integer of at least 1, got 2.5"),
        ({"temperature": -0.1}, "temperature must be a number of at least 0, got -0.1"),
        ({"temperature": float("inf")}, "temperature must be a number of at least 0, got inf"),
        ({"temperature": float("nan")}, "temperature must be a number of at least 0, got nan"),
        ({"temperature": "hot"}, "temperature must be a number of at least 0, got 'hot'"),
        ({"top_k": 0}, "top_k must be an integer of at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be a number above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p must be a number above 0 and at most 1, got 1.5"),
        ({"prompt": 3}, "prompt must be None, a string or a list of tokens, got 3"),
        ({"prompt": ["a", 3]}, "must be a token"),
        ({"prompt": "a </s>"}, "which is reserved"),
        ({"stop": 3}, "stop must be None, a string or a list of strings, got 3"),
        ({"stop": ["a", ""]}, "stop must hold strings of at least one token, got ''"),
    ],
)
def test_sample_and_stream_refuse(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.sample(**options)
    if "n" not in options:
        with pytest.raises(ValueError, match=message):
            model.stream(**options)  # before the first token is asked for


@KINDS
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), max_length=st.integers(1, 40), prompt=st.sampled_from([None, "the", "a cat"]))
def test_the_tokens_of_a_stream_are_those_of_a_sample(models, kind, seed, max_length, prompt):
    model = models[kind]
    options = {"max_length": max_length, "prompt": prompt, "temperature": 1.3, "top_p": 0.99, "random_state": seed}
    tokens = list(model.stream(**options))
    assert model.sample(**options) == [" ".join([*(prompt or "").split(), *tokens]).replace(" .", ".")]


def test_a_stream_ends_and_stops(model):
    assert list(model.stream(top_k=1, max_length=3)) == ["a", "c", "c"]
    assert list(model.stream(top_k=1, stop="c c")) == ["a", "c", "c"]
    with pytest.raises(NotFittedError):
        TwoRows().stream()


def test_a_stream_ends_where_the_model_is_fitted_anew():
    model = NGramLanguageModel(3, smoothing="witten_bell", tokenizer="chars").fit(["abcdefgh" * 50])
    stream = model.stream(random_state=0)
    next(stream)
    model.fit(["z"])
    with pytest.raises(RuntimeError, match="NGramLanguageModel was fitted again while it wrote a text"):
        list(stream)


@KINDS
def test_stop_only_cuts(models, kind):
    model = models[kind]
    stops = [["the", "cat"], ["on"], ["is"]]
    whole, cut = [], []
    for seed in range(30):
        whole += model.sample(max_length=20, random_state=seed, temperature=2)
        cut += model.sample(max_length=20, random_state=seed, temperature=2, stop=["the cat", "on", "is", "neverseen"])
    for text, stopped in zip(whole, cut, strict=True):
        tokens = text.replace(".", " .").split()
        ends = [i for i in range(1, len(tokens) + 1) for stop in stops if tokens[max(0, i - len(stop)) : i] == stop]
        assert stopped.replace(".", " .").split() == tokens[: min(ends, default=len(tokens))]
    assert whole != cut


def test_a_prompt_does_not_stop_anything(model):
    assert model.sample(prompt="c", top_k=1, max_length=2, stop="c") == ["c c"]
    assert model.sample(prompt="c", top_k=1, max_length=3, stop=["c c"]) == ["c c c"]  # the one of the prompt aside


@KINDS
def test_a_state_goes_on(models, kind):
    model = models[kind]
    state = model.read("a cat")
    expected = model.sample(prompt="a cat is on", random_state=3, max_length=10)
    (text,) = model.sample(prompt="is on", state=state, random_state=3, max_length=10)
    assert f"a cat {text}" == expected[0]
    (text,) = model.sample(state=model.read(["is", "on"], state), random_state=3, max_length=10)
    assert " ".join(["a cat is on", text]).rstrip().replace(" .", ".") == expected[0]
    (text,) = model.sample(state=model.read("", state), prompt="is on", random_state=3, max_length=10)
    assert f"a cat {text}" == expected[0]
    log_prob, _ = model.advance(model.read("is", state), "on")
    proba = model.predict_proba(["a cat is"])[0]
    assert log_prob == pytest.approx(math.log(proba[model.vocabulary_.encode(["on"])[0]]), rel=1e-5)


# ----- states -------------------------------------------------------------------------------------------------------


def test_a_state_of_another_model_is_refused(language_models):
    """Kernels would look beyond the ends of arrays."""
    others = {
        "order": NGramLanguageModel(2, smoothing="witten_bell").fit(LINES),
        "text": NGramLanguageModel(3, smoothing="witten_bell").fit(["w" * n + " x y z" for n in range(99)]),
        "window": CacheLanguageModel(7).fit(LINES),
        "size": RNNLanguageModel("rnn", 8, 12, max_iter=1, random_state=0, early_stopping=False).fit(LINES),
    }
    states = {name: model.read("the car y z") for name, model in {**others, **language_models}.items()}
    states |= {"nothing": {}, "a list": [[1, 2]], "a string": "the car"}
    same = {"network", "projected", "adaptive", "dynamic"}  # their states are arrays of the same shapes
    for name, model in language_models.items():
        for other, state in states.items():
            if other == name or {name, other} <= same:
                assert model.advance(state, "is")
                continue
            calls = (model.sample, model.stream, model.beam_search, lambda state, m=model: m.read("is", state),
                     lambda state, m=model: m.complete("c", state=state), lambda state, m=model: m.advance(state, "a"),
                     lambda state, m=model: m.fill("___", state=state))  # fmt: skip
            for call in calls:
                with pytest.raises(ValueError, match="state must be what read, initial_state or advance of this model"):
                    call(state=state)
