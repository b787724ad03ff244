"""Tests of `fastrnn.language.decoding`, on a model whose distribution is given, and on models that learn."""

import itertools
import math

import numpy as np
import pytest
from sklearn.base import clone

from fastrnn import InterpolatedLanguageModel, NGramLanguageModel
from fastrnn.text import train_subwords

KINDS = pytest.mark.parametrize("kind", ["ngrams", "network", "mixture"])


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
