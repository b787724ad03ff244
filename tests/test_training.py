import math
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastrnn.optimizers import SGD
from fastrnn.training import PLATEAU_FACTOR, train


class Parabola:
    """Loss (w − batch)² / 2 of one weight; `events` are raised or returned instead at given steps."""

    def __init__(self, events=()):
        self.parameters = {"w": np.zeros(1, np.float32)}
        self.grads = {"w": np.zeros(1, np.float32)}
        self.events = dict(events)
        self.steps = 0

    def sparse_rows(self):
        return {}

    def train_step(self, batch):
        self.steps += 1
        event = self.events.get(self.steps)
        if isinstance(event, BaseException):
            raise event
        error = self.parameters["w"] - batch
        self.grads["w"][:] = error
        return (float(error[0] ** 2) / 2 if event is None else event), 1


def run(network, max_iter=5, batches=(1.0, 1.0), learning_rate=0.1, **options):
    optimizer = SGD(learning_rate)
    return train(network, optimizer, lambda: list(batches), max_iter=max_iter, **options), optimizer


def test_the_loss_curve_is_the_mean_of_the_steps():
    network = Parabola()
    history, _ = run(network, max_iter=2)
    w, losses = 0.0, []
    for _ in range(4):
        losses.append((w - 1) ** 2 / 2)
        w -= 0.1 * (w - 1)
    np.testing.assert_allclose(history.loss_curve, [np.mean(losses[:2]), np.mean(losses[2:])], rtol=1e-6)
    np.testing.assert_allclose(network.parameters["w"], w, rtol=1e-6)
    assert history.validation_scores == []


def test_the_best_weights_are_kept_and_the_rate_decays_on_a_plateau():
    network, seen = Parabola(), []
    scores = iter([1.0, 3.0, 2.0, 2.5, 9.0])

    def validate():
        seen.append(network.parameters["w"].copy())
        return next(scores)

    history, optimizer = run(network, validate=validate, n_iter_no_change=2)
    assert history.validation_scores == [1.0, 3.0, 2.0, 2.5]
    np.testing.assert_array_equal(network.parameters["w"], seen[1])
    assert optimizer.learning_rate == pytest.approx(0.1 * PLATEAU_FACTOR**2)


def test_an_interrupt_keeps_the_finished_epochs():
    reference = Parabola()
    run(reference, max_iter=2)
    network = Parabola({6: KeyboardInterrupt()})
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 3"):
        history, _ = run(network)
    assert len(history.loss_curve) == 2
    np.testing.assert_array_equal(network.parameters["w"], reference.parameters["w"])


def test_an_interrupt_in_the_first_epoch_passes_through_and_changes_nothing():
    network = Parabola({2: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run(network)
    assert network.parameters["w"] == 0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights(loss):
    reference = Parabola()
    run(reference, max_iter=1)
    network = Parabola({4: loss})
    with pytest.warns(ConvergenceWarning, match="infinite or NaN in epoch 2"):
        history, _ = run(network)
    assert len(history.loss_curve) == 1
    np.testing.assert_array_equal(network.parameters["w"], reference.parameters["w"])


def test_a_score_that_is_not_finite_stops_too():
    network = Parabola()
    with pytest.warns(ConvergenceWarning, match="infinite or NaN in epoch 1"):
        history, _ = run(network, validate=lambda: math.nan)
    assert history.loss_curve == []
    assert network.parameters["w"] == 0


def test_the_gradient_is_clipped():
    network = Parabola()
    run(network, max_iter=1, batches=[100.0], learning_rate=1.0, clip_norm=0.5)
    np.testing.assert_allclose(network.parameters["w"], 0.5, rtol=1e-6)


def test_other_errors_pass_through_and_leave_no_half_trained_weights():
    network = Parabola({4: RuntimeError("broken")})
    with pytest.raises(RuntimeError, match="broken"), warnings.catch_warnings():
        run(network)
