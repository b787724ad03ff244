"""Scores of KenLM's Python module from our ARPA files, and ours from KenLM's (installing it needs a compiler)."""

import math
import warnings

import numpy as np
import pytest

from fastrnn.datasets import load_python_docs
from fastrnn.ngram import NGramLanguageModel

kenlm = pytest.importorskip("kenlm")


def kenlm_scores(path, sentences):
    """Return for each sentence the log10 probabilities, the orders of the n-grams and which tokens are unknown."""
    model = kenlm.Model(str(path))
    return [tuple(map(np.array, zip(*model.full_scores(sentence), strict=True))) for sentence in sentences]


def assert_same_scores(model, path, sentences):
    log_probs, orders = model.token_log_probs(sentences), model.matched_order(sentences)
    ids = [model.vocabulary_.encode(sentence.split()) for sentence in sentences]
    for i, (expected, expected_orders, unknown) in enumerate(kenlm_scores(path, sentences)):
        np.testing.assert_allclose(log_probs[i] / math.log(10), expected, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(orders[i], expected_orders)
        np.testing.assert_array_equal(ids[i] == model.vocabulary_.unk_id, unknown[:-1])


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
