"""Texts drawn on the device, beside those that the reference of backends draws."""

import numpy as np
import pytest

from fastrnn import RNNLanguageModel, backends
from fastrnn.kernels.sampling import make_choice
from fastrnn.layers import Recurrent
from fastrnn.utils.recurrent import TokenOutput
from tests import numpy_backend

CLASSES, INPUTS, UNITS = 7, 3, 5


@pytest.fixture(autouse=True)
def _reference():
    backends.register("numpy", numpy_backend)
    yield
    backends.register("numpy", None)


def written(device, cell, texts, steps=6, choice=(1.0, None, None), never=(0,), **options):
    """Return the tokens of some texts, the output and the states after them, by a device."""
    options = {"num_layers": 2, "random_state": 0, "dtype": "float64", "device": device, **options}
    layer, rng, ops = Recurrent(cell, INPUTS, UNITS, **options), np.random.default_rng(3), backends.backend(device)
    for name, values in layer.state_dict().items():  # of a size that makes different texts
        ops.assign(layer.parameters[name], ops.asarray(2 * values))
    sizes = [layer.output_size, *[UNITS] * (len(layer.cell.states) - 1)]
    embedding, weight, bias, h, *states = (
        ops.asarray(rng.standard_normal(shape).astype(options["dtype"]))
        for shape in (
            (CLASSES, INPUTS), (CLASSES, layer.output_size), (CLASSES,), (texts, layer.output_size),
            *((layer.num_layers, texts, size) for size in sizes),
        )
    )  # fmt: skip
    output = TokenOutput(embedding, ops.pack_logit_map(weight, bias), never, 1)
    tokens, uniforms = np.empty((steps, texts), np.int32), rng.random((steps, texts))
    with layer.held_weights():
        ops.generate(tokens, h, states, layer.held_layers(), output, uniforms, make_choice(*choice, CLASSES))
    return tokens, [ops.to_numpy(array) for array in (h, *states)]


def check(*arguments, **options):
    """Compare the device with the reference; return the tokens."""
    (tokens, arrays), (expected, expected_arrays) = (
        written(device, *arguments, **options) for device in ("cuda", "numpy")
    )
    np.testing.assert_array_equal(tokens, expected)
    open_texts = (expected != 1).all(axis=0)
    for array, values in zip(arrays, expected_arrays, strict=True):
        scale = np.abs(values).max()
        tolerance = 1e-10 if values.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(array[..., open_texts, :] / scale, values[..., open_texts, :] / scale,
                                   atol=tolerance)  # fmt: skip
    return expected


@pytest.mark.parametrize("texts", [2, 9])  # by one launch, and by a product for each layer and token
@pytest.mark.parametrize("cell", ["rnn", "indrnn", "gru", "mgu", "lstm", "lstm_peephole", "lstm_coupled"])
def test_the_texts_are_those_of_the_reference(cell, texts):
    tokens = check(cell, texts)
    assert len(np.unique(tokens)) > 1


@pytest.mark.parametrize("texts", [3, 9])
@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"num_layers": 1},
        {"num_layers": 3, "residual": True},
        {"bias": False},
        {"steps": 1},
        {"choice": (0.7, 4, 0.9), "texts": 1},
    ],
    ids=str,
)
def test_options_of_layers_and_draws(texts, options):
    options = {"texts": texts, "never": (0, 1), **options}
    check("lstm", options.pop("texts"), **options)


@pytest.mark.parametrize(
    ("cell", "options"),
    [("gru_reset_before", {}), ("lstm_layer_norm", {}), ("lstm", {"proj_size": 4}), ("gru", {"zoneout": 0.3})],
    ids=str,
)
def test_layers_of_several_stages_are_run_by_their_directions(cell, options):
    check(cell, 2, steps=3, never=(0, 1), **options)


@pytest.mark.parametrize("texts", [2, 9])
def test_drawing_stops_when_all_texts_have_ended(texts):
    # Nothing but the end can be drawn.
    tokens, _ = written("cuda", "gru", texts, steps=70, never=(0, 2, 3, 4, 5, 6))
    np.testing.assert_array_equal(tokens, 1)


def test_nothing_is_drawn_for_no_texts_and_no_steps():
    for steps, texts in ((0, 2), (2, 0)):
        tokens, _ = written("cuda", "gru", texts, steps=steps)
        assert tokens.shape == (steps, texts)


def test_a_vocabulary_too_large_for_one_launch_is_written_token_by_token(monkeypatch):
    from fastrnn.cuda.gpu import device

    expected = check("gru", 2)
    monkeypatch.setattr(device(), "shared_memory", 100)
    np.testing.assert_array_equal(check("gru", 2), expected)


def test_a_model_draws_the_texts_of_the_reference():
    texts = {}
    for device in ("cuda", "numpy"):
        model = RNNLanguageModel("gru", 3, 4, early_stopping=False, max_iter=1, random_state=0, device=device)
        model.fit(["a b c d", "b c a", "c d b"])
        samples = [model.sample(n, 4, random_state=0) for n in (2, 9)]
        texts[device] = samples, list(model.stream(4, prompt="a", random_state=1))
    assert texts["cuda"] == texts["numpy"]
