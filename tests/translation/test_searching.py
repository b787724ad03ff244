"""The options of search: n-best, constraints, language models, samples, and several models together."""

import io

import numpy as np
import pytest

from fastrnn import NGramLanguageModel, RNNLanguageModel, RNNTranslator
from fastrnn.translation import predict_together, searching
from tests.translation.test_recurrent import SMALL, X, Y

OPTIONS = {"beam_width": 4, "length_penalty": 0.7, "max_length": 6}


@pytest.fixture(scope="module")
def model():
    return RNNTranslator(**{**SMALL, "max_iter": 15}).fit(X, Y)


def without_lists(monkeypatch):
    """Let searches see the distributions over all tokens."""
    monkeypatch.setattr(searching._Constraints, "of_tokens_alone", False)


@pytest.mark.parametrize("feeding", [True, False])
def test_the_best_targets_with_their_scores(model, feeding):
    if not feeding:
        model = RNNTranslator(**{**SMALL, "max_iter": 15, "input_feeding": False}).fit(X, Y)
    found = model.beam_search(X, 3, **OPTIONS)
    assert [part[0].text for part in found] == model.predict(X, **OPTIONS)
    for text, part in zip(X, found, strict=True):
        assert [each.score for each in part] == sorted((each.score for each in part), reverse=True)
        assert len({each.text for each in part}) == 3
        targets = [each.text for each in part]
        lengths = [len(target.split()) + 1 for target in targets]
        ended = [length < 7 for length in lengths]
        expected = model.score_samples([text] * 3, targets)
        for each, log_prob, length, has_end in zip(part, expected, lengths, ended, strict=True):
            if has_end:
                assert each.log_prob == pytest.approx(log_prob, abs=1e-5)
                assert each.score == pytest.approx(log_prob / length**0.7, abs=1e-5)
    assert model.beam_search(X, **OPTIONS)[0][:3] == found[0]
    assert len(model.beam_search(X[:1], beam_width=3)[0]) <= 3
    offset = model.beam_search(X[:1], 1, length_penalty=0.2, length_offset=5)[0][0]
    assert offset.score == pytest.approx(offset.log_prob / ((5 + len(offset.text.split()) + 1) / 6) ** 0.2)


def test_the_most_probable_tokens_find_what_distributions_find(model, monkeypatch):
    found = model.beam_search(X, 4, **OPTIONS, forbidden=["1"])
    without_lists(monkeypatch)
    expected = model.beam_search(X, 4, **OPTIONS, forbidden=["1"])
    for got, wanted in zip(found, expected, strict=True):
        assert [each.text for each in got] == [each.text for each in wanted]
        np.testing.assert_allclose([each.score for each in got], [each.score for each in wanted], rtol=1e-5)
    assert not any("1" in each.text.split() for part in found for each in part)


@pytest.mark.parametrize("size", [1, 3])
def test_results_do_not_depend_on_what_is_searched_together(model, size, monkeypatch):
    language_model = NGramLanguageModel(2, smoothing="add_k").fit(Y)
    options = {**OPTIONS, "prefix": [text[:1] for text in Y], "coverage_penalty": 0.2,
               "language_model": language_model}  # fmt: skip
    expected = model.beam_search(X, 2, **options), model.beam_search(X, 2), model.sample(X, 2, random_state=3)
    monkeypatch.setattr(searching, "_SOURCES", size)
    assert (model.beam_search(X, 2, **options), model.beam_search(X, 2), model.sample(X, 2, random_state=3)) == expected


def test_constraints(model):
    assert all(text.startswith("3 1") for text in model.predict(X, prefix=["3 1"] * len(X)))
    assert all("2 2" not in text for text in model.predict(X, forbidden=[["2", "2"], ["1", "2"]]))
    assert all(len(text.split()) == 5 for text in model.predict(X, min_length=5, max_length=5))
    assert model.predict(X, forbidden=["nobody knows"]) == model.predict(X)
    everything = model.target_vocabulary_.tokens[4:]
    unwritten = model.set_params(replace_unknown=False).predict(X, forbidden=everything)
    model.set_params(replace_unknown=True)
    assert unwritten == [""] * len(X)
    unknown = model.predict(["two one"], prefix=["nobody"])[0]  # copied from the source
    assert "<unk>" not in model.predict([""], prefix=["nobody"])[0]  # there is nothing to copy
    assert unknown.split()[0] in ("two", "one")


def test_a_language_model_decides(model):
    text = ["2 1 3"] * 5  # each token follows one other
    for language_model in (
        NGramLanguageModel(2, smoothing="add_k", k=0.01).fit(text),
        RNNLanguageModel("gru", embedding_size=8, hidden_size=8, learning_rate_init=0.05, max_iter=30, random_state=0,
                         early_stopping=False).fit(text),
    ):  # fmt: skip
        found = model.predict(X, language_model=language_model, weight=20.0)
        assert found == text[:1] * len(X)
        assert model.predict(X, language_model=language_model, weight=0.0) == model.predict(X)


def test_coverage_is_part_of_the_score(model):
    options = {**OPTIONS, "max_length": 9}
    plain, covered = (model.beam_search(["one two three"], 4, **options, coverage_penalty=c)[0] for c in (0.0, 1.5))
    penalties = {}
    for each in covered:
        weights = model.align(["one two three"], [each.text])[0].weights
        penalties[each.text] = np.log(np.minimum(weights.astype(float).sum(axis=0), 1)).sum()
        length = len(each.text.split()) + 1
        assert each.score == pytest.approx(each.log_prob / length**0.7 + 1.5 * penalties[each.text], abs=1e-4)
    assert [each.score for each in covered] == sorted((each.score for each in covered), reverse=True)
    assert any(penalty < -1e-3 for penalty in penalties.values())
    assert {each.text for each in plain} & {each.text for each in covered}


def test_samples(model):
    assert model.sample(X, temperature=0) == [[text] for text in model.predict(X, beam_width=1)]
    drawn = model.sample(["two one"], 200, random_state=0, max_length=4)[0]
    assert drawn == model.sample(["two one"], 200, random_state=0, max_length=4)[0]
    assert drawn != model.sample(["two one"], 200, random_state=1, max_length=4)[0]
    best = model.beam_search(["two one"], 1)[0][0]
    assert np.mean([text == best.text for text in drawn]) == pytest.approx(np.exp(best.log_prob), abs=0.12)
    assert all(text.startswith("3") for text in model.sample(["two"], 5, prefix=["3"], random_state=0)[0])


def test_several_models_together(model):
    models = [model, RNNTranslator(**{**SMALL, "max_iter": 15, "random_state": 1}).fit(X, Y)]
    assert predict_together([model], X) == model.predict(X)
    assert predict_together(models, X, [1, 0]) == model.predict(X)
    found = predict_together(models, X, beam_width=8)
    for source, text in zip(X, found, strict=True):  # at least as probable as what each finds
        candidates = [text, *(each.predict([source])[0] for each in models)]
        parts = [each.predict_log_proba([source] * 3, candidates) for each in models]
        means = [np.log(np.exp(a) / 2 + np.exp(b) / 2).sum() for a, b in zip(*parts, strict=True)]
        assert means[0] >= max(means) - 1e-6
    assert found != model.predict(X) or found != models[1].predict(X)
    with pytest.raises(ValueError, match="same tokens of targets"):
        predict_together([model, RNNTranslator(**{**SMALL, "max_iter": 1}).fit(X, X)], X)
    with pytest.raises(ValueError, match="weights must be a number of at least 0 for each of 1 models"):
        predict_together([model], X, [0])
    with pytest.raises(ValueError, match="writers must be a list of estimators that write sequences"):
        predict_together(model, X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 0}, "beam_width must be an integer of at least 1, got 0"),
        ({"n": 6}, "n must be at most beam_width=5, got 6"),
        ({"length_penalty": -1}, "length_penalty must be a number of at least 0, got -1"),
        ({"max_length": 0}, "max_length must be an integer of at least 1, got 0"),
        ({"min_length": -1}, "min_length must be an integer of at least 0, got -1"),
        ({"prefix": "3"}, "prefix must be None or a list of texts or lists of tokens, got '3'"),
        ({"prefix": ["3"]}, "prefix must have a text for each of 2 sources, got 1 texts"),
        ({"prefix": ["3 1", "1"], "max_length": 1}, r"at most max_length=1 tokens, got 2 in prefix\[0\]"),
        ({"min_length": 1.5}, "min_length must be an integer of at least 0, got 1.5"),
        ({"min_length": 3, "max_length": 2}, "min_length must be at most max_length=2, got 3"),
        ({"forbidden": [""]}, "forbidden must hold texts of at least one token, got ''"),
        ({"language_model": "3-gram"}, "language_model must be None or a language model, got '3-gram'"),
        ({"weight": -0.1}, "weight must be a number of at least 0, got -0.1"),
    ],
)
def test_what_cannot_be_searched(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.beam_search(X[:2], **{"n": 1, **options})


def test_numbers_are_tokens_of_constraints():
    sources = [[5, 6], [6, 5, 7], [7]]
    model = RNNTranslator(**{**SMALL, "tokenizer": None, "max_iter": 2, "replace_unknown": False}).fit(sources, sources)
    found = model.predict(sources, prefix=[[7], [], [5, 5]], forbidden=[[6, 6]], min_length=4, max_length=4)
    assert [part[:1] for part in found][::2] == [[7], [5]]
    long = [7] * 60
    assert model.predict(sources[:1], prefix=[long])[0][:60] == long
    assert all(len(part) == 4 and [6, 6] not in [part[i : i + 2] for i in range(3)] for part in found)


def test_unknown_numbers_are_not_written_where_sources_are_words():
    y = [[1, 2], [1, 3], [1, 1]]
    model = RNNTranslator(**{**SMALL, "tokenizer": ("words", None), "min_count": (1, 2), "max_iter": 1}).fit(X[:3], y)
    found = model.sample(X[:3], 5, min_length=3, max_length=3, random_state=0)
    assert found == [[[1, 1, 1]] * 5] * 3


def test_open_files_are_read_once(model):
    lines = "\n".join(X)
    assert model.predict(io.StringIO(lines)) == model.predict(X)
    alignments = model.align(io.StringIO(lines))
    assert [alignment.sources for alignment in alignments] == [alignment.sources for alignment in model.align(X)]
    assert model.predict(X[:1], min_length=99)[0].count(" ") == 98


def test_options_of_other_models(model):
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        model.sample(X, 0)
    with pytest.raises(ValueError, match="top_p must be a number above 0 and at most 1, got 2"):
        model.sample(X, top_p=2)
    plain = RNNTranslator(**{**SMALL, "max_iter": 1, "attention": None}).fit(X, Y)
    assert len(plain.predict(X, coverage_penalty=0.0)) == len(X)
    with pytest.raises(ValueError, match="coverage_penalty must be 0 for a model without attention"):
        plain.predict(X, coverage_penalty=0.5)
