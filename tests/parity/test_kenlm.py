"""Scores of KenLM's Python module from our ARPA files, and ours from KenLM's (installing it needs a compiler)."""

import itertools
import math
import warnings

import numpy as np
import pytest

from fastrnn.datasets import load_python_docs
from fastrnn.ngram import NGramLanguageModel

kenlm = pytest.importorskip("kenlm")


def kenlm_scores(path, sentences, **options):
    """Return for each sentence the log10 probabilities, the orders of the n-grams and which tokens are unknown."""
    model = kenlm.Model(str(path))
    scores = [list(model.full_scores(sentence, **options)) for sentence in sentences]
    return [np.array(score).reshape(-1, 3).T for score in scores]


def assert_same_scores(model, path, sentences):
    ids = [model.vocabulary_.encode(sentence.split()) for sentence in sentences]
    for bos, eos in itertools.product([True, False], repeat=2):
        log_probs = model.token_log_probs(sentences, bos=bos, eos=eos)
        orders = model.matched_order(sentences, bos=bos, eos=eos)
        scores = kenlm_scores(path, sentences, bos=bos, eos=eos)
        for i, (expected, expected_orders, unknown) in enumerate(scores):
            np.testing.assert_allclose(log_probs[i] / math.log(10), expected, rtol=0, atol=1e-4)
            np.testing.assert_array_equal(orders[i], expected_orders)
            np.testing.assert_array_equal(ids[i] == model.vocabulary_.unk_id, unknown[: len(ids[i])])


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("min_count", [1, 2])
def test_kenlm_reads_our_files(tmp_path, order, min_count):
    lines = [" ".join(line.split()) for line in load_python_docs().data]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The Kneser-Ney discounts")
        model = NGramLanguageModel(order, tokenizer="whitespace", min_count=min_count).fit(lines[:1000])
    model.to_arpa(tmp_path / "model.arpa")
    assert_same_scores(model, tmp_path / "model.arpa", [*lines[900:1200], "", "not one word is known here: qwertz"])


@pytest.mark.parametrize("name", ["warandpeace-3gram", "warandpeace-3gram-prune001"])
def test_we_read_kenlms_files(reference_dir, data_dir, name):
    path = reference_dir / "kenlm" / f"{name}.arpa.gz"
    lines = (data_dir / "warandpeace" / "test.txt").read_text(encoding="utf-8").splitlines()
    assert_same_scores(NGramLanguageModel.from_arpa(path), path, lines[:2000])


@pytest.mark.parametrize("space", ["\xa0", "\u2009", "\u2028", "\x85", "\x1c", "\v", "\f", "\t", "\r"])
def test_words_are_separated_at_the_same_places(tmp_path, space):
    model = NGramLanguageModel(2, "witten_bell", tokenizer="whitespace").fit(["it costs 10\xa0000", "it\u2009is cheap"])
    model.to_arpa(tmp_path / "model.arpa")
    theirs = kenlm.Model(str(tmp_path / "model.arpa"))
    for text in (f"it costs 10{space}000", f"it{space}costs{space}", f"it{space}is cheap"):
        assert model.score_samples([text])[0] / math.log(10) == pytest.approx(theirs.score(text), abs=1e-5)
