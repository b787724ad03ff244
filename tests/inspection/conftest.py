import pytest

from fastrnn import RNNLanguageModel

LINES = ["the key to the cabinets is here", "the keys to the cabinet are there", "a key is lost"] * 10


@pytest.fixture(scope="session", params=["rnn", "gru", "lstm"])
def model(request):
    """Return a small fitted language model of two layers."""
    return RNNLanguageModel(request.param, 5, 4, 2, max_iter=2, learning_rate_init=0.02, random_state=0).fit(LINES)


@pytest.fixture
def pyplot():
    """Return pyplot without a window; close what the test opened."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")
