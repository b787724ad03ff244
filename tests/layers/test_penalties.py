import numpy as np
import pytest

from fastrnn.layers import activity_penalty, temporal_activity_penalty
from tests import reference


@pytest.mark.parametrize(
    ("penalty", "formula"),
    [
        (activity_penalty, lambda y: (y**2).mean()),
        (temporal_activity_penalty, lambda y: ((y[1:] - y[:-1]) ** 2).mean()),
    ],
)
def test_penalties_and_their_gradients(penalty, formula):
    rng = np.random.default_rng(0)
    y, direction = rng.standard_normal((2, 5, 3, 4))
    value, dy = penalty(y, 0.7)
    assert value == pytest.approx(0.7 * formula(y), rel=1e-12)
    slope = reference.central_difference(lambda: 0.7 * formula(y), y, direction)
    assert (dy * direction).sum() == pytest.approx(slope, rel=1e-6)


def test_a_single_step_does_not_change():
    value, dy = temporal_activity_penalty(np.ones((1, 2, 3)), 1.0)
    assert value == 0
    assert (dy == 0).all()
