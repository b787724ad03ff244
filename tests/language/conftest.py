"""Language models that the tests of this folder share."""

import pytest

from fastrnn import CacheLanguageModel, InterpolatedLanguageModel, NGramLanguageModel, RNNLanguageModel
from tests.fakes import TwoRows

LINES = ["the cat sat on the mat", "the car is here", "a cat is on the car", "the can is red ."] * 5
PIECES = {"embedding_size": 8, "hidden_size": 16, "learning_rate_init": 0.02, "early_stopping": False}


@pytest.fixture(scope="session")
def model():
    return TwoRows().fit(["a"])


@pytest.fixture(scope="session")
def models():
    """Return a model of each kind, fitted, with one vocabulary."""
    ngrams = NGramLanguageModel(3, smoothing="witten_bell").fit(LINES)
    shared = {"vocabulary": ngrams.vocabulary_}
    network = RNNLanguageModel("rnn", max_iter=10, random_state=0, **shared, **PIECES).fit(LINES)
    mixture = InterpolatedLanguageModel([ngrams, network, CacheLanguageModel(5, **shared).fit()], [0.4, 0.4, 0.2])
    return {"ngrams": ngrams, "network": network, "mixture": mixture.fit()}
