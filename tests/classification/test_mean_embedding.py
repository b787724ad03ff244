"""Tests of `fastrnn.classification.mean_embedding`."""

import numpy as np
import pytest

from tests.classifiers import X, Y, averaging


def test_mean_embedding_equals_its_definition():
    model = averaging(hidden_layer_sizes=(5,), ngram_range=(1, 1)).fit(X, Y)
    layers = model.network_.layers
    texts = ["good unheard-of film", "unheard-of", ""]
    words = model.vocabulary_.encode(["good", "film"])
    mean = layers["embedding"].parameters["weight"][words].astype(float).mean(axis=0)
    dense = layers["hidden_0"].parameters
    for row, vector in zip(model.transform(texts), [mean, np.zeros(7), np.zeros(7)], strict=True):
        np.testing.assert_allclose(row, np.maximum(dense["weight"] @ vector + dense["bias"], 0), atol=1e-6)


@pytest.mark.parametrize(("option", "value"), [("ngram_range", (2, 1)), ("ngram_range", (1, 2.5)),
                                               ("max_length", "auto"), ("n_buckets", 0), ("hidden_layer_sizes", (0,)),
                                               ("input", "series")])  # fmt: skip
def test_wrong_parameters_of_the_averaging_network_are_named(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        averaging(**{option: value}).fit(X, Y)
