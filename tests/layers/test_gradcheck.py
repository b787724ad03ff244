import numpy as np
import pytest

from fastrnn.layers import LSTM, Dense, Embedding, Recurrent, gradcheck


def test_right_gradients_pass():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 3, 4))
    layer = LSTM(4, 5, 2, bidirectional=True, dropout=0.3, zoneout=0.2, dtype="float64", random_state=0)
    before = layer.state_dict()
    errors = gradcheck(layer, x, lengths=[5, 0, 3])
    assert errors.keys() == {*layer.parameters, "x"}
    assert max(errors.values()) < 1e-5
    assert all((layer.parameters[name] == value).all() for name, value in before.items())
    assert not any(gradient.any() for gradient in layer.grads.values())
    assert max(gradcheck(Dense(4, 3, activation="tanh", dtype="float64"), x).values()) < 1e-5
    ids = rng.integers(0, 6, (4, 2))
    assert gradcheck(Embedding(6, 3, dropout=0.4, dtype="float64", random_state=0), ids).keys() == {"weight"}


class Wrong(Dense):
    """A layer whose gradient of the bias is off by a hundredth."""

    def backward(self, dy):
        result = super().backward(dy)
        self.grads["bias"] *= 1.01
        return result


def test_wrong_gradients_are_named():
    with pytest.raises(AssertionError, match="The gradient of bias gives the slope"):
        gradcheck(Wrong(4, 3, dtype="float64", random_state=0), np.ones((2, 4)))


def test_float32_is_refused():
    with pytest.raises(ValueError, match="dtype='float64'"):
        gradcheck(Recurrent("gru", 3, 4), np.ones((2, 1, 3)))
