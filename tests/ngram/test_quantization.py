"""Tests of `fastrnn.ngram.quantization`, and of models with values of 8 bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.quantization import quantize
from tests.ngram_texts import fit, zipf_text

VALUES = st.one_of(st.floats(-8, 2, width=32), st.just(-np.inf))


@given(arrays(np.float32, st.integers(0, 200), elements=VALUES))
def test_few_values_stay(values):
    codes, codebook = quantize(values, np.exp(values.astype(float)))
    assert (codes.dtype, codebook.dtype, codebook.shape) == (np.uint8, np.float32, (256,))
    np.testing.assert_array_equal(codebook[codes], values)


@pytest.mark.parametrize("seed", range(5))
def test_many_values_come_close(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(-4, 1, 5000), rng.uniform(-1, 0, 3000), [-np.inf, 0, -9]]).astype(np.float32)
    codes, codebook = quantize(values, rng.random(len(values)))
    decoded = codebook[codes]
    assert np.isneginf(decoded[-3])
    finite = np.isfinite(values)
    np.testing.assert_array_equal(np.isfinite(decoded), finite)
    errors = decoded[finite].astype(float) - values[finite]
    centers = codebook[np.isfinite(codebook)]
    nearest = abs(values[finite][:, np.newaxis] - centers).min(axis=1)
    np.testing.assert_allclose(abs(errors), nearest, rtol=0, atol=1e-6)
    assert abs(errors).mean() < np.ptp(values[finite]) / 255 / 4  # that of steps of the same width


def test_what_is_used_is_nearer():
    values = np.linspace(-1, 0, 10_000).astype(np.float32)
    use = np.where(values > -0.1, 1e6, 1.0)
    codes, codebook = quantize(values, use)
    errors = abs(codebook[codes] - values)
    assert errors[use > 1].mean() < errors[use == 1].mean() / 2


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "mle"])
def test_quantized_model(smoothing, order, tmp_path):
    train, test = zipf_text(0, 2000, 500), zipf_text(1, 100, 500)
    whole = fit(NGramLanguageModel(order, smoothing), train)
    model = fit(NGramLanguageModel(order, smoothing, quantize=True), train)
    assert model.n_ngrams_ == whole.n_ngrams_
    test = train if smoothing == "mle" else test
    assert model.perplexity(test) == pytest.approx(whole.perplexity(test), rel=5e-3)
    np.testing.assert_allclose(model.predict_proba(test[:20]), whole.predict_proba(test[:20]), rtol=0.1, atol=5e-4)
    model.save(tmp_path / "model.safetensors")
    loaded = NGramLanguageModel.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.score_samples(test), model.score_samples(test))
    for ids, log_probs, log_backoffs in model._table.levels():
        assert len(ids) == len(log_probs)
        assert len(np.unique(log_probs)) <= 256
        assert log_backoffs is None or len(np.unique(log_backoffs)) <= 256


def test_sizes_on_real_text(data_dir):
    train, test = (
        (data_dir / "warandpeace" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        for name in ("train", "test")
    )
    whole = NGramLanguageModel(5, tokenizer="whitespace").fit(train)
    model = NGramLanguageModel(5, tokenizer="whitespace", quantize=True).fit(train)
    n_ngrams = sum(whole.n_ngrams_)
    assert whole.nbytes_ <= 12 * n_ngrams
    assert model.nbytes_ <= 6 * n_ngrams
    assert model.perplexity(test) <= 1.001 * whole.perplexity(test)
