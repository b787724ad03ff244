"""Tests of `fastrnn.inspection.surprisal`, with language models of every kind."""

import html
import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastrnn import NGramLanguageModel, RNNClassifier
from fastrnn.inspection import SurprisalDisplay, surprisal
from tests.fakes import TwoRows

TEXT = "the cat sat <unk> a dog . the car is here"


def test_every_model_says_what_its_probabilities_say(any_language_model, language_models, monkeypatch):
    monkeypatch.setattr("fastrnn.language.recurrent_inference._SCORING_STEPS", 5)
    result = surprisal(any_language_model, TEXT)
    assert result.tokens.tolist() == [*TEXT.split(), "</s>"]
    assert result.tokens[~result.known].tolist() == ["<unk>", "dog"]
    (log_probs,) = any_language_model.token_log_probs([TEXT], independent=True)
    np.testing.assert_allclose(result.bits, np.abs(log_probs) / np.log(2))
    if any_language_model is language_models["dynamic"]:  # whose contexts are not adapted
        return
    ids = any_language_model.vocabulary_.encode(result.tokens)
    for place, (token, rank) in enumerate(zip(ids, result.ranks, strict=True)):
        p = any_language_model.predict_proba([TEXT.split()[:place]])[0]
        p[[0, 2]] = 0
        assert np.count_nonzero(p > p[token] * 1.0001) < rank <= 1 + np.count_nonzero(p > p[token] * 0.9999)


def test_ranks_of_a_model_that_adapts_are_those_of_its_scores(language_models):
    model = language_models["dynamic"]
    ids = model.vocabulary_.encode(["the", "cat", "is", "on", "the", "mat", "</s>"])
    distributions = np.concatenate(list(model._distributions(ids)))
    expected = model._sentence_log_probs(ids, np.array([0, len(ids)]))
    np.testing.assert_allclose(np.log(distributions[np.arange(len(ids)), ids]), expected, rtol=1e-5)


def test_a_distribution_that_is_known():
    result = surprisal(TwoRows().fit(["a"]), "b c zzz")  # of 0.5 a, 0.3 b, 0.1 <unk> and others; then 0.4 c, 0.3 </s>
    np.testing.assert_allclose(result.bits, -np.log2([0.3, 0.4, 0.1, 0.3]))
    assert result.ranks.tolist() == [2, 1, 3, 2]
    assert result.known.tolist() == [True, True, False, True]
    assert str(result).splitlines()[:2] == ["token   bits   rank", "b       1.74      2"]
    assert str(result).splitlines()[3].endswith("3, unknown word")


def test_text_may_be_empty_or_impossible(pyplot):
    model = NGramLanguageModel(2, smoothing="mle").fit(["a b", "a b"])
    empty = surprisal(model, "")
    assert empty.tokens.tolist() == ["</s>"]
    assert np.isinf(empty.bits).all()
    mixed = surprisal(model, "a a b")
    assert mixed.bits.tolist() == [0, np.inf, 0, 0]
    assert mixed.ranks.tolist() == [1, 2, 1, 1]
    for result in (empty, mixed):
        assert "inf bits" in result._repr_html_()
        assert len(result.plot().boxes_) == len(result.bits)


def test_notebooks_show_the_text_escaped():
    model = NGramLanguageModel(2, smoothing="add_k", tokenizer="whitespace").fit(['<b>bold</b> & "x" y'])
    page = surprisal(model, '<b>bold</b> & "x" <script>')._repr_html_()
    assert "<b>bold" not in page
    assert "<script" not in page
    spans = re.findall(r'<span style="[^"]*rgba\(214,96,77,([0-9.]+)\)" title="([^"]*)">([^<]*)</span>', page)
    assert [html.unescape(text) for _, _, text in spans] == ["<b>bold</b>", "&", '"x"', "<script>", "</s>"]
    assert all(re.fullmatch(r"\d+\.\d\d bits, rank \d+(, unknown word)?", title) for _, title, _ in spans)
    assert max(float(share) for share, _, _ in spans) == 0.8
    assert "unknown word" in spans[3][1]
    chars = NGramLanguageModel(2, smoothing="add_k", tokenizer="chars").fit(["ab\n"])
    assert "</span><span" in surprisal(chars, "ab\n")._repr_html_()
    assert "⏎" in surprisal(chars, "ab\n")._repr_html_()


def test_display(pyplot, language_models):
    model = language_models["ngrams"]
    display = SurprisalDisplay.from_estimator(model, TEXT, width=30)
    bits = surprisal(model, TEXT).bits
    darkness = [sum(box.get_facecolor()[:3]) for box in display.boxes_]
    assert np.argsort(bits)[-1] == np.argmin(darkness)
    assert display.ax_.get_title(loc="left") == f"NGramLanguageModel, {len(bits)} tokens of {bits.mean():.2f} bits"
    again = surprisal(model, TEXT).plot(display.ax_, cmap="Blues")
    assert again.figure_ is display.figure_
    assert again.ax_.get_title(loc="left").startswith(f"{len(bits)} tokens")


def test_what_is_refused():
    with pytest.raises(ValueError, match="model must be a language model, got RNNClassifier"):
        surprisal(RNNClassifier(), "a")
    with pytest.raises(NotFittedError):
        surprisal(NGramLanguageModel(), "a")
    with pytest.raises(ValueError, match="text must be a string or a list of tokens, got None"):
        surprisal(TwoRows().fit(["a"]), None)
    with pytest.raises(ValueError, match="must be a token"):
        surprisal(TwoRows().fit(["a"]), ["a", 3])
    with pytest.raises(ValueError, match="contains the token '</s>', which is reserved"):
        surprisal(TwoRows().fit(["a"]), "a </s>")
