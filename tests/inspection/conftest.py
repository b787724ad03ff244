import numpy as np
import pytest

from fastrnn import RNNLanguageModel
from fastrnn.layers import Recurrent

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


TOPOLOGIES = {
    "one layer": {},
    "reverse": {"num_layers": 2, "reverse": True},
    "bidirectional": {"num_layers": 2, "bidirectional": True},
    "residual": {"num_layers": 3, "residual": True},
    "mean": {"num_layers": 2, "bidirectional": True, "merge": "mean", "residual": True},
    "sum": {"num_layers": 2, "bidirectional": True, "merge": "sum", "learn_initial_state": True},
    "zoneout": {"num_layers": 2, "zoneout": 0.3, "dropout": 0.5, "recurrent_dropout": 0.5, "weight_dropout": 0.5},
    "batch first": {"batch_first": True, "bias": False},
}


def random_layer(cell, topology="one layer", inputs=3, hidden=4, dtype="float64", **options):
    """Return a layer all of whose parameters are random."""
    layer = Recurrent(cell, inputs, hidden, dtype=dtype, random_state=0, **TOPOLOGIES[topology], **options)
    rng = np.random.default_rng(1)
    for array in layer.parameters.values():
        array[...] = rng.uniform(-0.7, 0.7, array.shape)
    return layer


def random_sequences(lengths=(5, 3, 1), inputs=3):
    """Return random sequences of these lengths."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((length, inputs)) for length in lengths]
