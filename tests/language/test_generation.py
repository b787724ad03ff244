"""Tests of `fastrnn.language.generation`, on a model whose distribution is given, and on models that learn."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrnn import CacheLanguageModel, InterpolatedLanguageModel, NGramLanguageModel, RNNLanguageModel
from fastrnn.kernels.sampling import make_choice
from fastrnn.language.generation import choose_tokens, largest
from fastrnn.text import train_subwords
from tests.fakes import START_ROW, TwoRows

LINES = ["the cat sat on the mat", "the car is here", "a cat is on the car", "the can is red ."] * 5
PIECES = {"embedding_size": 8, "hidden_size": 16, "learning_rate_init": 0.02, "early_stopping": False}


def uniforms(n):
    return np.random.RandomState(0).random_sample(n)


@pytest.fixture(scope="module")
def model():
    return TwoRows().fit(["a"])


@pytest.fixture(scope="module")
def models():
    """Return a model of each kind, fitted, with one vocabulary."""
    ngrams = NGramLanguageModel(3, smoothing="witten_bell").fit(LINES)
    shared = {"vocabulary": ngrams.vocabulary_}
    network = RNNLanguageModel("rnn", max_iter=10, random_state=0, **shared, **PIECES).fit(LINES)
    mixture = InterpolatedLanguageModel([ngrams, network, CacheLanguageModel(5, **shared).fit()], [0.4, 0.4, 0.2])
    return {"ngrams": ngrams, "network": network, "mixture": mixture.fit()}


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
    monkeypatch.setattr("fastrnn.language.generation._BLOCK", 70)  # ten texts at a time
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
    with pytest.raises(RuntimeError, match="NGramLanguageModel was fitted anew while it wrote a text"):
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


# ----- searching ----------------------------------------------------------------------------------------------------


def every_text(model, max_length, prompt=""):
    """Return the log probability of all texts of up to `max_length` tokens, as a beam search sees them."""
    tokens, chances = model.vocabulary_.tokens[4:], {}
    for length in range(max_length + 1):
        for text in itertools.product(tokens, repeat=length):
            steps = [*text, "</s>"] if length < max_length else text
            state, total = model.read(prompt), 0.0
            for token in steps:
                log_prob, following = model.advance(state, token)
                state, total = following, total + log_prob
            chances[" ".join([*prompt.split(), *text])] = (total, max(1, len(steps)))
    return chances


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("prompt", ["", "b"])
def test_a_wide_beam_finds_the_best_of_all_texts(model, length_penalty, prompt):
    ngrams = NGramLanguageModel(2, smoothing="add_k", k=0.1, tokenizer="whitespace").fit(["a b c", "b c a", "a a"])
    for searched in (model, ngrams):
        expected = every_text(searched, 4, prompt)
        ranked = sorted(expected, key=lambda text: -expected[text][0] / expected[text][1] ** length_penalty)[:6]
        found = searched.beam_search(prompt, 100, 4, n=6, length_penalty=length_penalty)
        ranks = [expected[text][0] / expected[text][1] ** length_penalty for text in ranked]
        found_ranks = [expected[text][0] / expected[text][1] ** length_penalty for text, _ in found]
        np.testing.assert_allclose(found_ranks, ranks, rtol=1e-6)  # equally probable texts may swap
        for text, log_prob in found:
            assert log_prob == pytest.approx(expected[text][0], rel=1e-6)


@KINDS
def test_a_beam_of_one_is_greedy(models, kind):
    model = models[kind]
    ((text, log_prob),) = model.beam_search("the", beam_width=1, max_length=8)
    assert [text] == model.sample(prompt="the", top_k=1, max_length=8)
    found = model.beam_search("the", beam_width=30, max_length=8, n=3)
    assert found[0].log_prob >= log_prob - 1e-6
    assert [entry.log_prob for entry in found] == sorted((entry.log_prob for entry in found), reverse=True)
    assert len({entry.text for entry in found}) == 3


def test_a_beam_stops(models):
    found = models["ngrams"].beam_search(beam_width=8, max_length=6, n=8, stop=["cat", "is"])
    for text, _ in found:
        assert not {"cat", "is"} & set(text.split()[:-1])
    assert any(text.split()[-1:] == ["cat"] for text, _ in found)
    assert models["ngrams"].beam_search(state=models["ngrams"].read("the cat"), n=1)[0].text.startswith("sat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 0}, "beam_width must be an integer of at least 1, got 0"),
        ({"n": 6}, "n must be at most beam_width=5, got 6"),
        ({"length_penalty": -1}, "length_penalty must be a number of at least 0, got -1"),
        ({"prompt": 3}, "prompt must be None, a string or a list of tokens, got 3"),
    ],
)
def test_beam_search_refuses(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.beam_search(**options)


@given(values=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, -np.inf]), min_size=1), count=st.integers(1, 9))
def test_thelargest_in_order(values, count):
    expected = sorted(range(len(values)), key=lambda i: -values[i])[:count]
    assert largest(np.array(values), count).tolist() == expected


# ----- completing ---------------------------------------------------------------------------------------------------


@KINDS
def test_words_are_completed(models, kind):
    model = models[kind]
    tokens, proba = model.vocabulary_.tokens, model.predict_proba(["the"])[0]
    fitting = {token: proba[i] for i, token in enumerate(tokens) if token.startswith("ca")}
    got = model.complete("the ca")
    assert [word for word, _ in got] == sorted(fitting, key=lambda word: -fitting[word])
    assert sum(probability for _, probability in got) == pytest.approx(1)
    assert got[0].probability == pytest.approx(max(fitting.values()) / sum(fitting.values()), rel=1e-5)
    assert got == model.complete("ca", state=model.read("the"))
    following = model.complete("the ", n=3)
    ranked = np.argsort(-proba[4:])[:3] + 4
    assert [word for word, _ in following] == [tokens[i] for i in ranked]
    assert [probability for _, probability in following] == pytest.approx(proba[ranked].tolist(), rel=1e-5)
    assert model.complete("the zzz") == []
    assert model.complete("") == model.complete("  ")


def test_what_counts_as_begun():
    model = NGramLanguageModel(1, smoothing="add_k", lowercase=True).fit(["it's well-known , 3.14 , 3.2 words"])
    for prefix, words in {
        "IT": {"it's"},
        "x, wel": {"well-known"},
        "3": {"3.14", "3.2"},
        "well-k": {"well-known"},
    }.items():
        assert {word for word, _ in model.complete(prefix)} == words
    for prefix in ("words,", "(", "words ", "\n"):  # what comes next
        assert model.complete(prefix)[0].word == ","
    spaced = NGramLanguageModel(1, smoothing="add_k", tokenizer="whitespace").fit(["(a (b c)"])
    assert {word for word, _ in spaced.complete("x (")} == {"(a", "(b"}


@pytest.mark.parametrize("tokenizer", ["chars", "bytes"])
def test_words_are_put_together_from_pieces(tokenizer):
    text = ["the cat sat. the car, the cat! der käse", "the cat's here"] * 3
    model = NGramLanguageModel(8, smoothing="witten_bell", tokenizer=tokenizer).fit(text)
    words = [word for word, _ in model.complete("the ca", n=3)]
    assert words[0] == "cat"
    assert set(words) == {"cat", "car", "cat's"}
    assert model.complete("der k", n=1)[0].word == "käse"
    assert model.complete("the ", n=1)[0].word == "cat"
    assert model.complete("sat.", n=1)[0].word == "the"
    best = model.complete("the c", n=1)[0]
    # The chance of "at" and then no more letter, apostrophe or hyphen.
    state, chance = model.read("the c"), 1.0
    for letter in "at":
        log_prob, state = model.advance(state, letter)
        chance *= math.exp(log_prob)
    proba = np.exp([model.advance(state, token)[0] for token in model.vocabulary_.tokens[3:]])
    ends = [i for i, token in enumerate(model.vocabulary_.tokens[3:]) if not (token.isalpha() or token in "'-")]
    # Of the rare ways to end only the most probable ones are counted.
    assert chance * proba[ends].sum() >= best.probability > 0.9 * chance * proba[ends].sum()


@pytest.mark.parametrize("method", ["bpe", "unigram"])
def test_words_are_put_together_from_subwords(method, tmp_path):
    pytest.importorskip("tokenizers")
    text = ["the cat sat. the caravan, the cat! der käse", "the cats are here, the cat is there"] * 5
    model = NGramLanguageModel(5, smoothing="witten_bell", tokenizer=train_subwords(text, 290, method)).fit(text)
    words = [word for word, _ in model.complete("the ", n=3)]
    assert words[0] == "cat"
    assert words[1] == "cats"
    assert model.complete("the cat sat", n=1)[0].word == "sat"
    assert model.complete("", n=1)[0].word == "the"
    model.save(tmp_path / "model")
    loaded = NGramLanguageModel.load(tmp_path / "model")
    assert loaded.sample(prompt="the cat", random_state=0) == clone(model).fit(text).sample(
        prompt="the cat", random_state=0
    )
    assert loaded.score_samples(text).tolist() == model.score_samples(text).tolist()
    InterpolatedLanguageModel([model, loaded], [0.5, 0.5]).fit()


def test_complete_refuses(model):
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        model.complete("a", n=0)
    with pytest.raises(ValueError, match=r"prefix must be a string, got \['a'\]"):
        model.complete(["a"])


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
