"""The benchmark of the classifiers: both sides train the same network."""

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks import classifier_speed


@pytest.mark.parametrize("frozen", [True, False])
def test_epochs_of_both_sides_are_the_same(frozen, monkeypatch):
    monkeypatch.setattr(classifier_speed, "DROPOUT", 0.0)
    texts = ["a good film", "bad", "so good", "a bad film , so bad"] * 8  # one batch: all words are in it
    labels = np.array(["pos", "neg", "pos", "neg"] * 8)
    words = sorted({word for text in texts for word in text.split()})
    vectors = np.random.RandomState(0).standard_normal((len(words), 5))
    ours, theirs = classifier_speed.epochs(texts, labels, (words, vectors), frozen, threads=1)
    losses = [(ours(), theirs()) for _ in range(10)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-3)
    assert losses[-1][0] < 0.9 * losses[0][0]
