import numpy as np
import pytest

from fastrnn.training.optimizers import SGD, Adam, make_optimizer
from tests import reference_dense as reference

CASES = [
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    ("adam", {}),
    ("adam", {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("adamw", {"weight_decay": 0.5}),
    ("adagrad", {"epsilon": 1e-3, "weight_decay": 0.1}),
    ("rmsprop", {}),
    ("rmsprop", {"rho": 0.7, "epsilon": 1e-3, "momentum": 0.6, "weight_decay": 0.1}),
]


def steps(name, options, dtype="float64", count=5, shape=(3, 11), rows=None, **more):
    """Return the start of a parameter, its gradients, and what an optimizer made of it."""
    rng = np.random.default_rng(0)
    start = rng.standard_normal(shape).astype(dtype)
    gradients = rng.standard_normal((count, *shape)).astype(dtype)
    parameters = {"w": start.copy()}
    optimizer = make_optimizer(name, learning_rate=0.1, **options, **more)
    for gradient in gradients:
        optimizer.step(parameters, {"w": gradient}, rows)
    return start, gradients, parameters["w"]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps_equal_the_reference(name, options, dtype, tolerance):
    start, gradients, got = steps(name, options, dtype)
    expected = np.empty(start.shape)
    for place in np.ndindex(start.shape):
        expected[place] = reference.optimizer_steps(name, start[place], gradients[(..., *place)], 0.1, **options)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_only_the_given_rows_change(name, options):
    start, gradients, got = steps(name, options, shape=(6, 5), rows={"w": np.array([1, 4])})
    untouched = [0, 2, 3, 5]
    np.testing.assert_array_equal(got[untouched], start[untouched])
    expected = start[[1, 4]].copy()
    optimizer = make_optimizer(name, learning_rate=0.1, **options)
    for gradient in gradients:
        optimizer.step({"w": expected}, {"w": gradient[[1, 4]].copy()})
    np.testing.assert_array_equal(got[[1, 4]], expected)


@pytest.mark.parametrize("rows", [None, {"w": np.arange(0, 37, 2)}])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_number_of_threads_changes_no_bit(name, options, rows, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    outcomes = [steps(name, options, "float32", shape=(37, 13), rows=rows, n_jobs=jobs)[2] for jobs in (1, 2, 3)]
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    np.testing.assert_array_equal(outcomes[0], outcomes[2])


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_loaded_state_goes_on_as_the_saved_one(name, options):
    rng = np.random.default_rng(1)
    parameters = {"a": rng.standard_normal(9), "b.c/d": rng.standard_normal((2, 3))}
    optimizer = make_optimizer(name, learning_rate=0.1, **options)

    def step(target, optimizer, seed):
        draw = np.random.default_rng(seed)
        optimizer.step(target, {key: draw.standard_normal(value.shape) for key, value in target.items()})

    for seed in range(3):
        step(parameters, optimizer, seed)
    optimizer.learning_rate = 0.03
    state, copies = optimizer.state_dict(), {key: value.copy() for key, value in parameters.items()}
    assert all(isinstance(value, np.ndarray) for value in state.values())
    step(parameters, optimizer, 7)
    other = make_optimizer(name, **options)
    other.load_state_dict(state)
    step(copies, other, 7)
    for key, value in parameters.items():
        np.testing.assert_array_equal(value, copies[key])


def test_a_state_that_does_not_fit_changes_nothing():
    optimizer = Adam()
    optimizer.step({"w": np.ones(3)}, {"w": np.ones(3)})
    before = optimizer.state_dict()
    for broken in (
        {**before, "velocity/w": np.ones(3)},
        {key: value for key, value in before.items() if key != "square/w"},
        {key: value for key, value in before.items() if key != "n_steps"},
    ):
        with pytest.raises(ValueError, match="state_dict"):
            optimizer.load_state_dict(broken)
    after = optimizer.state_dict()
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)


def test_a_tied_array_is_updated_once():
    shared = np.ones(4)
    SGD(0.5).step({"a": shared, "b": shared}, {"a": np.ones(4), "b": np.ones(4)})
    np.testing.assert_array_equal(shared, np.full(4, 0.5))


def test_gradients_that_do_not_fit_change_nothing():
    parameters = {"a": np.ones(3), "b": np.ones((2, 2))}
    optimizer = SGD(0.1)
    for grads in ({"a": np.ones(3)}, {"a": np.ones(3), "b": np.ones(4)}, {"a": np.ones(3, "f4"), "b": np.ones((2, 2))}):
        with pytest.raises(ValueError, match="grads"):
            optimizer.step(parameters, grads)
    assert optimizer.n_steps == 0
    assert all((value == 1).all() for value in parameters.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_optimizer("adamm"), "got 'adamm': did you mean 'adam'"),
        (lambda: make_optimizer("SGD"), "did you mean 'sgd'"),
        (lambda: make_optimizer(None), "optimizer must be one of"),
        (lambda: SGD(-1), "learning_rate must be at least 0, got -1"),
        (lambda: SGD(nesterov=True), "nesterov=True needs a momentum"),
        (lambda: SGD(weight_decay=float("nan")), "weight_decay must be at least 0"),
        (lambda: Adam(beta_1=1.0), "beta_1 must be at least 0 and below 1"),
        (lambda: Adam(n_jobs=0), "n_jobs"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
