"""Tests of `fastrnn.language.filling`."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastrnn import NGramLanguageModel, RNNLanguageModel
from fastrnn.text import train_subwords
from tests.fakes import TwoRows

TEXTS = ["the ___ is on the mat", "___ cat", "the cat sat on the ___", "a dog ___ here . the car .", "___"]


def compared(model, text, words):
    """Return the share of each word in the probability of a sentence: each sentence is scored whole."""
    scores = model.score_samples([text.replace("___", word) for word in words], independent=True)
    with np.errstate(invalid="ignore"):  # all sentences are impossible
        shares = np.exp(scores - scores.max())
        return shares / shares.sum()


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_compared_by_whole_sentences(any_language_model, language_models, text, monkeypatch):
    monkeypatch.setattr(
        "fastrnn.language.contexts._BLOCK", 4 * len(any_language_model.vocabulary_)
    )  # four words at a time
    monkeypatch.setattr("fastrnn.language.recurrent_inference._SCORING_STEPS", 3)
    words = any_language_model.vocabulary_.tokens[4:]
    judge = language_models["network"] if any_language_model is language_models["dynamic"] else any_language_model
    shares = compared(judge, text, words)
    result = any_language_model.fill(text, n=len(words))
    assert len(result) == np.count_nonzero(shares > 0)
    np.testing.assert_allclose([shares[words.index(word)] for word, _ in result], [p for _, p in result], rtol=2e-4)
    assert [p for _, p in result] == sorted((p for _, p in result), reverse=True)
    assert (result.exact, result.n_candidates) == (True, len(words))
    assert any_language_model.fill(text, n=2) == result[:2]


def test_some_words_only(language_models):
    model, text = language_models["ngrams"], "the ___ is here"
    everything = dict(model.fill(text, n=100))
    probabilities = model.predict_proba(["the"])[0]
    proposed = [model.vocabulary_.tokens[i] for i in np.argsort(-probabilities, kind="stable") if i >= 4][:3]
    result = model.fill(text, candidates=3)
    assert (result.exact, result.n_candidates, len(result)) == (False, 3, 3)
    assert {word for word, _ in result} == set(proposed)
    total = sum(everything[word] for word in proposed)
    for word, probability in result:
        assert probability == pytest.approx(everything[word] / total)
    assert model.fill(text, candidates=len(model.vocabulary_) - 4).exact


def test_how_the_text_may_be_given(language_models):
    for model in (language_models["ngrams"], language_models["network"]):
        expected = model.fill("the ___ is here")
        assert model.fill(["the", "___", "is", "here"]) == expected
        assert model.fill("the [MASK] is here", blank="[MASK]") == expected
        assert model.fill("___ is here", state=model.read("the")) == expected
        assert model.fill("the ___.") == model.fill("the ___ .")  # the tokenizer cuts there
    lowercase = NGramLanguageModel(2, smoothing="mle", lowercase=True).fit(["the cat", "The dog", "the cat"])
    assert lowercase.fill("The BLANK", blank="BLANK")[0].word == "cat"


def test_a_sentence_that_is_impossible_with_every_word():
    model = NGramLanguageModel(3, smoothing="mle").fit(["a b c", "b a"])
    assert model.fill("c ___ a") == model.fill("a ___ b c") == []
    assert [word for word, _ in model.fill("a ___ c")] == ["b"]


@pytest.mark.parametrize("tokenizer", ["chars", "bytes", train_subwords(["the cat sat on the mat"] * 3, 30)])
def test_pieces_of_words(tokenizer):
    model = NGramLanguageModel(2, smoothing="witten_bell", tokenizer=tokenizer).fit(["the cat sat on the mat"])
    with pytest.raises(ValueError, match="text must be a list of tokens for a model of pieces of words, tokenizer="):
        model.fill("the ___ sat")
    token = model.vocabulary_.tokens[4]
    (best, *_) = model.fill([token, "___", *model.vocabulary_.tokens[6:8]])
    assert best.word == model.vocabulary_.tokens[5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "a b"}, "text must hold the blank '___' once, got it 0 times"),
        ({"text": "___ b ___"}, "text must hold the blank '___' once, got it 2 times"),
        ({"text": ["___", "___"]}, "text must hold the blank '___' once as a token, got it 2 times"),
        ({"text": ["a ___ b"]}, "text must hold the blank '___' once as a token, got it 0 times"),
        ({"text": "a___ b"}, "text must hold the blank '___' as a word of its own: put spaces around it"),
        ({"text": "a ____ b"}, "text must hold the blank '___' as a word of its own"),
        ({"text": "a ___. b"}, "text must hold the blank '___' as a word of its own"),
        ({"text": 3}, "text must be a string or a list of tokens, got 3"),
        ({"text": ["___", 3]}, "must be a token"),
        ({"text": "</s> ___"}, "contains the token '</s>', which is reserved"),
        ({"text": "a b", "blank": ""}, "blank must be a string that marks the missing word, got ''"),
        ({"text": "a b", "blank": " "}, "blank must be a string that marks the missing word, got ' '"),
        ({"text": "___", "n": 0}, "n must be an integer of at least 1, got 0"),
        ({"text": "___", "candidates": 0}, "candidates must be an integer of at least 1, got 0"),
    ],
)
def test_fill_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        TwoRows().fit(["a"]).fill(**arguments)


def test_a_model_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        RNNLanguageModel().fill("___")
