"""What all layers have in common, shown on a dense one."""

import numpy as np
import pytest

from fastrnn import backends, layers
from fastrnn.layers._layer import Layer
from fastrnn.layers.dense import Dense
from fastrnn.layers.large_softmax import make_softmax


def test_a_state_dict_is_a_copy_that_can_be_loaded():
    layer, other = Dense(3, 2, random_state=0), Dense(3, 2, random_state=1)
    arrays = dict(other.parameters)
    state = layer.state_dict()
    other.load_state_dict(state)
    state["weight"][...] = 7
    for name, value in layer.parameters.items():
        np.testing.assert_array_equal(other.parameters[name], value)
        assert other.parameters[name] is arrays[name]
    assert not (layer.parameters["weight"] == 7).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("bias"), r"missing \['bias'\], unknown \[\]"),
        (lambda state: state.update(extra=np.ones(1)), r"unknown \['extra'\]"),
        (lambda state: state.update(bias=np.ones(3)), r"state_dict\['bias'\] must have shape \(2,\), got \(3,\)"),
    ],
)
def test_a_state_dict_that_does_not_fit_changes_nothing(change, message):
    layer = Dense(3, 2, random_state=0)
    before = layer.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        layer.load_state_dict(state)
    for name, value in before.items():
        np.testing.assert_array_equal(layer.parameters[name], value)


def test_the_seed_makes_the_start():
    first, same, other = Dense(3, 2, random_state=0), Dense(3, 2, random_state=0), Dense(3, 2, random_state=1)
    np.testing.assert_array_equal(first.parameters["weight"], same.parameters["weight"])
    assert (first.parameters["weight"] != other.parameters["weight"]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.float64])
def test_everything_is_of_the_type(dtype):
    layer = Dense(3, 2, dtype=dtype)
    y = layer.forward(np.ones((4, 3)), training=True)
    arrays = [y, layer.backward(y), *layer.parameters.values(), *layer.grads.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@pytest.mark.parametrize(("options", "message"), [({"dtype": "float16"}, "dtype must be"), ({"n_jobs": 0}, "n_jobs")])
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Dense(3, 2, **options)


def parts(value):
    """Yield all layers in a layer, itself too."""
    if isinstance(value, Layer):
        yield value
        value = list(vars(value).values())
    for part in value if isinstance(value, list | tuple) else ():
        yield from parts(part)


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: Dense(3, 2, **options),
        lambda **options: layers.Dropout(**options),
        lambda **options: layers.Embedding(3, 2, **options),
        lambda **options: layers.EmbeddingBag(3, 2, **options),
        lambda **options: layers.LSTM(3, 2, 2, dropout=0.5, **options),
        lambda **options: layers.Pooling(3, "attention", **options),
        *(lambda kind=kind, **options: make_softmax(kind, 3, 9, **options) for kind in ("full", "adaptive", "sampled")),
        lambda **options: make_softmax("full", 3, 9, 2, **options),
    ],
)
def test_all_parts_of_a_layer_are_on_its_device(make):
    backends.register("elsewhere", backends.backend("cpu"))
    try:
        made = make(device="elsewhere", precision="high")
        assert {(part.device, part.precision) for part in parts(made)} == {("elsewhere", "high")}
    finally:
        backends.register("elsewhere", None)
    with pytest.raises(ValueError, match="device must be one of 'auto', 'cpu', 'cuda', got 'nowhere'"):
        make(device="nowhere")
    with pytest.raises(ValueError, match="precision must be one of 'highest', 'high', 'medium', got 'low'"):
        make(precision="low")
