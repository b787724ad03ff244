import copy
import itertools
import logging
import math
import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastrnn import RNNLanguageModel
from fastrnn.backends import backend
from fastrnn.classification import MeanEmbeddingClassifier, RNNRegressor
from fastrnn.language.dynamic_evaluation import DynamicEvaluation
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.loop import DivergenceError, Options, train
from fastrnn.training.optimizers import SGD
from fastrnn.training.schedule import PLATEAU_FACTOR, Schedule


class Parabola:
    """Loss (w − batch)² / 2 of one weight; `events` are raised or returned instead at given steps."""

    backend = backend("cpu")

    def __init__(self, events=()):
        self.parameters = {"w": np.zeros(1, np.float32)}
        self.grads = {"w": np.zeros(1, np.float32)}
        self.events = dict(events)
        self.steps = 0

    def make_writable(self):
        pass

    def sparse_rows(self):
        return {}

    def train_step(self, batch, scale=1.0, clear=True):
        self.steps += 1
        event = self.events.get(self.steps)
        if isinstance(event, BaseException):
            raise event
        error = self.parameters["w"] - batch
        self.grads["w"] *= not clear
        self.grads["w"] += scale * error
        return (float(error[0] ** 2) / 2 if event is None else event), 1


def run(network, max_iter=5, batches=(1.0, 1.0), learning_rate=0.1, **options):
    optimizer = SGD(learning_rate)
    return train(network, optimizer, lambda: list(batches), Options(max_iter=max_iter, **options)), optimizer


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
    network, scores = Parabola(), iter([1.0, math.nan])
    with pytest.warns(ConvergenceWarning, match="infinite or NaN in epoch 2"):
        history, _ = run(network, validate=lambda: next(scores))
    assert history.validation_scores == [1.0]


def test_without_a_finished_epoch_it_is_an_error():
    for network, options in ((Parabola({2: math.nan}), {}), (Parabola(), {"validate": lambda: math.nan})):
        with pytest.raises(DivergenceError, match="infinite or NaN in the first epoch: nothing was learned"):
            run(network, **options)
        assert network.parameters["w"] == 0


def test_weights_and_outputs_that_are_not_finite_are_not_kept():
    reference = Parabola()
    run(reference, max_iter=2)
    for name in ("outputs", "weights"):
        network, factors = Parabola(), itertools.chain([1.0] * 5, [math.inf if name == "weights" else 1.0])
        checks = itertools.chain([True, True, name == "weights"], itertools.repeat(True))
        with pytest.warns(ConvergenceWarning, match=r"weights or the outputs .* in epoch 3"):
            history, optimizer = run(
                network, is_finite=lambda n, c=checks: next(c), rate_factor=lambda batch, f=factors: next(f)
            )
        assert len(history.loss_curve) == 2
        assert optimizer.n_steps == 0
        np.testing.assert_array_equal(network.parameters["w"], reference.parameters["w"])
    with pytest.raises(DivergenceError, match="With the weights of epoch 5 some outputs are infinite or NaN"):
        run(Parabola(), is_finite=lambda n: n == 1)


SERIES = np.random.default_rng(0).normal(size=(12, 9, 2))
RELU = {"cell": "rnn_relu", "hidden_size": 8, "input": "series", "clip_norm": None, "max_iter": 3, "random_state": 0}


def test_a_regressor_that_diverges_is_not_fitted():
    with pytest.raises(ValueError, match="infinite or NaN in the first epoch"):
        RNNRegressor(**RELU, optimizer="sgd", learning_rate_init=1e25).fit(SERIES, SERIES.sum(axis=(1, 2)))


def test_what_diverges_leaves_the_model_as_it_was():
    lines = ["a b c", "c b a"] * 9
    models = (
        (RNNRegressor(**RELU, dropout=0.3), (SERIES, SERIES.sum(axis=(1, 2)))),
        (MeanEmbeddingClassifier(random_state=0, n_buckets=10, max_iter=2), (lines, [0, 1] * 9)),
        (RNNLanguageModel("rnn_relu", 4, 8, dropout=0.3, early_stopping=False, max_iter=2, random_state=0), (lines,)),
    )
    for model, data in models:
        model.set_params(optimizer="adam").fit(*data)
        twin = copy.deepcopy(model)
        for way in ("partial_fit", "fit"):
            model.set_params(learning_rate_init=1e30, warm_start=True)
            model._optimizer.learning_rate = 1e30
            with pytest.raises(ValueError, match=r"infinite or NaN.* nothing was learned"):
                getattr(model, way)(*data)
        model.set_params(learning_rate_init=twin.learning_rate_init)
        model._optimizer.learning_rate = twin._optimizer.learning_rate
        assert model.loss_curve_ == twin.loss_curve_
        for one in (model, twin):
            one.partial_fit(*data)
        for name, array in twin.network_.parameters.items():
            np.testing.assert_array_equal(model.network_.parameters[name], array, err_msg=name)


def test_a_text_that_dynamic_evaluation_diverges_on_is_refused():
    model = RNNLanguageModel("rnn_relu", 4, 8, early_stopping=False, max_iter=1, random_state=0).fit(["a b c"] * 9)
    with pytest.raises(ValueError, match=r"learning_rate=1e\+30 is too large for this text"):
        DynamicEvaluation(model, learning_rate=1e30).perplexity(["a b c"] * 9)


def test_the_gradient_is_clipped():
    network = Parabola()
    run(network, max_iter=1, batches=[100.0], learning_rate=1.0, clip_norm=0.5)
    np.testing.assert_allclose(network.parameters["w"], 0.5, rtol=1e-6)


def test_other_errors_pass_through_and_leave_no_half_trained_weights():
    network = Parabola({4: RuntimeError("broken")})
    with pytest.raises(RuntimeError, match="broken"), warnings.catch_warnings():
        run(network)


def rates(schedule, **options):
    """Return the learning rates of 4 epochs of 2 steps, each with a worse score than the one before."""
    seen = []

    class Recorder(SGD):
        def step(self, *arguments):
            seen.append(self.learning_rate)
            super().step(*arguments)

    scores = iter([4.0, 3.0, 2.0, 1.0])
    optimizer = Recorder(0.1)
    options = Options(max_iter=4, validate=lambda: next(scores), schedule=schedule, **options)
    train(Parabola(), optimizer, lambda: [1.0, 1.0], options)
    return seen, optimizer


def test_schedules():
    np.testing.assert_allclose(rates("constant")[0], 0.1)
    np.testing.assert_allclose(rates("plateau")[0], 0.1 * PLATEAU_FACTOR ** np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    seen, optimizer = rates("cosine")
    np.testing.assert_allclose(seen, 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8)))
    assert optimizer.learning_rate == 0.1  # what partial_fit goes on with
    np.testing.assert_allclose(rates("constant", warmup=4)[0], 0.1 * np.minimum(1, np.arange(1, 9) / 4))
    with pytest.raises(ValueError, match="schedule must be one of"):
        Schedule("step", 0.1)


def test_the_rate_follows_the_batch():
    seen, optimizer = rates("constant", rate_factor=lambda batch: 0.5)
    np.testing.assert_allclose(seen, 0.05)
    assert optimizer.learning_rate == 0.1


def test_accumulated_steps_go_along_the_mean_gradient():
    network, batches = Parabola(), [1.0, 2.0, 4.0, 8.0, 16.0]
    history, optimizer = run(network, max_iter=1, batches=batches, accumulate_steps=2)
    w, losses = 0.0, []
    for group in ([1.0, 2.0], [4.0, 8.0], [16.0]):
        losses += [(w - batch) ** 2 / 2 for batch in group]
        w -= 0.1 * np.mean([w - batch for batch in group])
    np.testing.assert_allclose(network.parameters["w"], w, rtol=1e-6)
    np.testing.assert_allclose(history.loss_curve, [np.mean(losses)], rtol=1e-6)
    assert optimizer.n_steps == 3


def weights_after_each_step(n):
    w, seen = 0.0, []
    for _ in range(n):
        w -= 0.1 * (w - 1)
        seen.append(w)
    return np.array(seen)


def test_the_exponential_average_is_validated_and_kept():
    network, seen = Parabola(), []
    average = WeightAverage("ema", decay=0.75)

    def validate():
        seen.append(network.parameters["w"][0])
        return float(len(seen))

    run(network, max_iter=4, validate=validate, average=average, schedule="constant")
    expected, mean = [], 0.0
    for n, w in enumerate(weights_after_each_step(8), 1):
        mean += max(1 / n, 0.25) * (w - mean)
        expected.append(mean)
    np.testing.assert_allclose(seen, expected[1::2], rtol=1e-6)
    np.testing.assert_allclose(network.parameters["w"], expected[-1], rtol=1e-6)


def test_averaged_sgd_begins_when_the_score_has_stalled():
    network, seen = Parabola(), []
    scores = iter([1.0, 3.0, 2.0, 2.5, 2.9, 4.0, 3.9, 3.8])  # the fourth is below the best of those before the second

    def validate():
        seen.append(network.parameters["w"][0])
        return next(scores)

    history, _ = run(network, max_iter=9, validate=validate, average=WeightAverage("asgd", patience=1),
                     schedule="constant", n_iter_no_change=2)  # fmt: skip
    weights = weights_after_each_step(16)
    np.testing.assert_allclose(seen[:4], weights[1:8:2], rtol=1e-6)
    for epoch in range(4, 8):
        np.testing.assert_allclose(seen[epoch], weights[8 : 2 * epoch + 2].mean(), rtol=1e-6)
    assert len(history.loss_curve) == 8  # nothing stops before the average has begun
    np.testing.assert_allclose(network.parameters["w"], seen[5])


def test_the_bar_tells_loss_score_speed_and_the_steps_that_are_left(monkeypatch):
    told = []

    class Bar:
        def __init__(self, **options):
            self.total, self.n = None, 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, steps=1):
            self.n += steps

        def set_postfix(self, figures, refresh):
            told.append((self.n, self.total, figures))

        def set_description_str(self, text):
            pass

    monkeypatch.setattr("fastrnn.utils.progress._bar_class", lambda: Bar)
    monkeypatch.setattr("fastrnn.utils.progress._REPORT_SECONDS", 0)
    run(Parabola(), max_iter=2, validate=lambda: -1.5, verbose=1, unit="tokens")
    assert [(n, total) for n, total, _ in told] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert list(told[0][2]) == ["loss", "tokens/s"]
    assert told[0][2]["loss"] == "0.500"
    assert told[3][2]["valid"] == "1.500"
    assert float(told[3][2]["tokens/s"].replace(",", "")) > 0


def test_a_line_is_logged_for_each_epoch(caplog):
    run(Parabola(), max_iter=2, validate=lambda: -1.5, verbose=1, unit="tokens", name="parabola")
    first, second = (record.getMessage() for record in caplog.records if "compiling" not in record.getMessage())
    assert re.fullmatch(r"parabola: epoch 1 of 2, loss 0\.4525, valid 1\.500, [\d,]+ tokens/s, \d+\.\d s", first)
    assert second.startswith("parabola: epoch 2 of 2, loss 0.2969")
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        run(Parabola(), max_iter=2)
    assert not caplog.records
