import numpy as np
import pytest

from fastrnn.layers import CRF

LENGTHS = np.array([4, 1, 0, 3])
ALLOWED = np.array([True, True, False]), ~np.eye(3, k=1, dtype=bool), np.array([False, True, True])


def problem(size=3, dtype="float64", **options):
    """Return a layer, emissions (4, 4, size) and tags; those of the first sequence are not allowed by `ALLOWED`."""
    rng = np.random.default_rng(0)
    layer = CRF(size, dtype=dtype, random_state=0, **options)
    tags = np.array([[2, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 2], [1, 7, -1, -1]])
    return layer, rng.standard_normal((4, 4, size)).astype(dtype), tags


def allowed_problem(**options):
    layer, emissions, tags = problem(allowed=ALLOWED, **options)
    tags[:, 0] = [1, 0, 2, 2]
    return layer, emissions, tags


@pytest.mark.parametrize("constrain", [False, True])
def test_gradients_equal_central_differences(constrain):
    layer, emissions, tags = allowed_problem(constrain=constrain)
    weights = np.array([0.5, 2, 1, 0.7])
    loss, d_emissions = layer.loss_and_gradient(emissions, tags, weights, LENGTHS)
    assert loss == pytest.approx(layer.loss(emissions, tags, weights, LENGTHS), rel=1e-12)
    rng = np.random.default_rng(1)
    for array, gradient in [(emissions, d_emissions), *((layer.parameters[k], layer.grads[k]) for k in layer.grads)]:
        direction, kept, losses = rng.standard_normal(array.shape), np.array(array), []
        for sign in (1, -1):
            array[...] = kept + sign * 1e-6 * direction
            losses.append(layer.loss(emissions, tags, weights, LENGTHS))
        array[...] = kept
        assert np.vdot(np.asarray(gradient), direction) == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6)


def test_gradients_of_parameters_add_up():
    layer, emissions, tags = problem()
    layer.loss_and_gradient(emissions, tags, 0.5, LENGTHS)
    once = {name: np.array(array) for name, array in layer.grads.items()}
    layer.loss_and_gradient(emissions, tags, 0.5, LENGTHS)
    for name, array in layer.grads.items():
        np.testing.assert_allclose(array, 2 * once[name], rtol=1e-12)


def test_names_of_parameters():
    state = CRF(3, random_state=0).state_dict()
    assert {name: array.shape for name, array in state.items()} == {
        "transitions": (3, 3), "start_transitions": (3,), "end_transitions": (3,)
    }  # fmt: skip
    assert all(np.abs(array).max() <= 0.1 for array in state.values())


def test_decoding_finds_allowed_paths_only():
    layer, emissions, _ = allowed_problem()
    start, transitions, end = ALLOWED
    emissions[0, :, 2], emissions[3, :, 0] = 50, 50  # what may not begin, and not end
    tags, scores = layer.decode(emissions, LENGTHS)
    free, free_scores = problem()[0].decode(emissions, LENGTHS)
    assert (tags != free).any()
    assert (scores <= free_scores).all()
    for b, length in enumerate(LENGTHS):
        path = tags[:length, b]
        assert (tags[length:, b] == -1).all()
        assert not length or (start[path[0]] and transitions[path[:-1], path[1:]].all() and end[path[-1]])


def test_constrained_marginals():
    layer, emissions, _ = allowed_problem(constrain=True)
    marginals = layer.marginals(emissions, LENGTHS)
    assert marginals.dtype == np.float64
    assert not marginals[0, :, 2].any()
    np.testing.assert_allclose(marginals.sum(axis=2), np.arange(4)[:, np.newaxis] < LENGTHS, atol=1e-12)
    assert problem()[0].marginals(emissions, LENGTHS)[0, 0, 2] > 0


def test_paths_that_are_not_allowed():
    layer, emissions, tags = problem(allowed=ALLOWED, constrain=True)
    with pytest.raises(ValueError, match=r"tags must be allowed paths, but that of sequence 0 is not: \[2, 1, 1, 1\]"):
        layer.loss(emissions, tags, 1.0, LENGTHS)
    assert np.isfinite(problem(allowed=ALLOWED)[0].loss(emissions, tags, 1.0, LENGTHS))
    nowhere = np.zeros(3, bool), *ALLOWED[1:]
    with pytest.raises(ValueError, match="an allowed path, but sequence 0 has none"):
        CRF(3, nowhere, dtype="float64").decode(emissions, LENGTHS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 4, 2)),), r"emissions must have shape \(T, B, 3\), got \(4, 4, 2\)"),
        ((np.zeros((4, 4, 3)), np.zeros((4, 3), int)), r"tags must be integers of shape \(4, 4\), got int64"),
        ((np.zeros((4, 4, 3)), np.full((4, 4), 3)), "tags must be from 0 to 2, got 3 to 3"),
        ((np.zeros((4, 4, 3)), np.zeros((4, 4), int), 1.0, [5, 1, 1, 1]), "lengths must be 4 integers from 0 to 4"),
        ((np.zeros((4, 4, 3)), np.zeros((4, 4), int), 1.0, [1.5, 1, 1, 1]), r"from 0 to 4, got \[1.5, 1, 1, 1\]"),
        ((np.zeros((4, 4, 3)), np.zeros((4, 4), int), 1.0, [1, None, 1, 1]), r"from 0 to 4, got \[1, None, 1, 1\]"),
        (
            (np.zeros((4, 4, 3)), np.zeros((4, 4), int), [1.0, 2.0]),
            r"weights must be .* shape \(4,\), got shape \(2,\)",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    layer, *_ = problem()
    with pytest.raises(ValueError, match=message):
        layer.loss(*(*arguments, *(np.zeros((4, 4), int),)[: max(0, 2 - len(arguments))]))
    with pytest.raises(ValueError, match=r"allowed must be three arrays of shapes \(3,\), \(3, 3\) and \(3,\)"):
        CRF(3, (np.ones(3), np.ones(3), np.ones(3)))
    with pytest.raises(ValueError, match="num_tags must be an integer of at least 1, got 0"):
        CRF(0)
