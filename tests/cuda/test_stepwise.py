"""What a pass launches a step after the other, and when it is a graph."""

from unittest import mock

import numpy as np
import pytest

from fastrnn.layers import Recurrent


@pytest.fixture
def graphs():
    """The calls that make a graph of launches."""
    from fastrnn.cuda.gpu import device

    found = device()
    with mock.patch.object(type(found), "graph", autospec=True, side_effect=lambda _, function: function) as graph:
        yield graph


@pytest.fixture
def step_by_step():
    """No time loop is one launch."""
    with mock.patch("fastrnn.cuda.time_loop.make_plan", return_value=None):
        yield


def train(layer, steps, seed=0):
    x = np.random.default_rng(seed).standard_normal((steps, 2, 3))
    layer.backward(layer.forward(x, training=True)[0])


@pytest.mark.usefixtures("step_by_step")
def test_the_second_pass_with_the_same_arrays_is_a_graph(graphs):
    layer = Recurrent("lstm", 3, 4, random_state=0, device="cuda")
    counts = []
    for steps in (4, 4, 4, 3, 3, 4):
        train(layer, steps)
        counts.append(graphs.call_count)
    assert counts == [0, 2, 2, 2, 4, 4]  # forward and backward are a graph each


@pytest.mark.parametrize("cell", ["indrnn", "gru"])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_pass_is_a_graph_between_what_differs_from_pass_to_pass(cell, is_given, graphs, ops):
    """Whatever its time loop is: the graphs of two passes are enough for inputs, outputs and states in other places."""
    layer = Recurrent(cell, 3, 4, random_state=0, device="cuda", recurrent_dropout=0.2)
    other, kept = Recurrent(cell, 3, 4, random_state=0, device="cuda", recurrent_dropout=0.2), []
    for number in range(5):
        x, h, dy, dh = (
            np.random.default_rng(number).standard_normal(s) for s in ((3, 2, 3), (1, 2, 4), (3, 2, 4), (1, 2, 4))
        )
        results = []
        for one in (layer, other):
            one.zero_grad()
            y, last = one.forward(x, h if is_given else None, training=True)
            dx, first = one.backward(dy, dh if is_given else None)
            predicted, _ = one.forward(x, h if is_given else None)
            results.append([y, last, dx, first, predicted, *one.grads.values()])
            if one is other:
                one.forget()
        kept.append(results)  # so that the next ones are elsewhere
        for own, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(ops.to_numpy(own), ops.to_numpy(expected))
    assert graphs.call_count == 3  # forward, backward, prediction


@pytest.mark.usefixtures("step_by_step")
def test_a_graph_is_left_when_a_weight_is_replaced(graphs, ops):
    layer = Recurrent("gru", 3, 4, random_state=0, device="cuda")
    for _ in range(2):
        train(layer, 3)
    weight = layer.parameters["weight_hh_l0"]
    layer.parameters["weight_hh_l0"] = ops.zeros(weight.shape, weight.dtype)
    x = np.random.default_rng(1).standard_normal((3, 2, 3))
    y, _ = layer.forward(x, training=True)
    other = Recurrent("gru", 3, 4, device="cuda")
    for name, values in layer.parameters.items():
        ops.assign(other.parameters[name], values)
    np.testing.assert_array_equal(ops.to_numpy(y), ops.to_numpy(other.forward(x)[0]))
    assert graphs.call_count == 2


@pytest.mark.usefixtures("step_by_step")
@pytest.mark.parametrize(("cell", "kernels"), [("lstm", 1), ("gru_reset_before", 2), ("gru_layer_norm", 1)])
def test_a_step_is_as_few_kernels_as_products_allow(cell, kernels):
    from fastrnn.cuda import stepwise

    layer, prepared = Recurrent(cell, 3, 4, random_state=0, device="cuda"), []
    original = stepwise.StepwiseLoop._prepare

    def prepare(self, *arguments, **options):
        launch = original(self, *arguments, **options)
        prepared.append(mock.Mock(side_effect=launch))
        return prepared[-1]

    with mock.patch.object(stepwise.StepwiseLoop, "_prepare", prepare):
        layer.forward(np.ones((5, 2, 3)))
    assert [launch.call_count for launch in prepared] == [5] * kernels


@pytest.mark.usefixtures("step_by_step")
@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_every_product_has_the_precision_of_the_layer(cell):
    from fastrnn.cuda import blas, recurrent_weights, stepwise

    with (
        mock.patch.object(stepwise, "RowProduct", side_effect=blas.RowProduct) as of_steps,
        mock.patch.object(recurrent_weights, "gemm", side_effect=blas.gemm) as of_all_rows,
    ):
        train(Recurrent(cell, 3, 4, random_state=0, device="cuda", precision="high"), 3)
    assert of_steps.call_count > 0
    for call in [*of_steps.call_args_list, *of_all_rows.call_args_list]:
        assert call.kwargs["precision"] == "high"


@pytest.mark.parametrize("cell", ["lstm_peephole", "gru_layer_norm"])
def test_runs_are_equal_to_the_bit(cell, ops):
    results = []
    for _ in range(2):
        layer = Recurrent(cell, 3, 9, 2, random_state=0, device="cuda", zoneout=0.2, recurrent_dropout=0.2)
        for seed in range(3):
            train(layer, 4, seed)
        results.append([ops.to_numpy(gradient) for gradient in layer.grads.values()])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)
