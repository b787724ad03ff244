"""Optimizers against torch's: the same steps from the same start."""

import numpy as np
import pytest

from fastrnn.training.optimizers import make_optimizer

torch = pytest.importorskip("torch")

CASES = {
    "sgd": ("sgd", {"learning_rate": 0.1}, "SGD", {"lr": 0.1}),
    "sgd-default": ("sgd", {}, "SGD", {}),
    "momentum": (
        "sgd",
        {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01},
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    ),
    "nesterov": (
        "sgd",
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "adam-default": ("adam", {}, "Adam", {}),
    "adam": (
        "adam",
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1},
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1},
    ),
    "adamw-default": ("adamw", {}, "AdamW", {}),
    "adamw": (
        "adamw",
        {"learning_rate": 0.05, "weight_decay": 0.3, "epsilon": 1e-3},
        "AdamW",
        {"lr": 0.05, "weight_decay": 0.3, "eps": 1e-3},
    ),
    "adagrad-default": ("adagrad", {}, "Adagrad", {}),
    "adagrad": (
        "adagrad",
        {"learning_rate": 0.1, "weight_decay": 0.1},
        "Adagrad",
        {"lr": 0.1, "weight_decay": 0.1},
    ),
    "rmsprop-default": ("rmsprop", {}, "RMSprop", {}),
    "rmsprop": (
        "rmsprop",
        {"learning_rate": 0.05, "rho": 0.9, "momentum": 0.8, "weight_decay": 0.1},
        "RMSprop",
        {"lr": 0.05, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.1},
    ),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("case", CASES)
def test_steps_agree(case, dtype, tolerance):
    name, options, torch_name, torch_options = CASES[case]
    rng = np.random.default_rng(0)
    parameters = {"a": rng.standard_normal((7, 5)).astype(dtype), "b": rng.standard_normal(19).astype(dtype)}
    tensors = {key: torch.tensor(value, requires_grad=True) for key, value in parameters.items()}
    optimizer = make_optimizer(name, **options)
    expected = getattr(torch.optim, torch_name)(tensors.values(), **torch_options)
    for step in range(12):
        grads = {key: rng.standard_normal(value.shape).astype(dtype) for key, value in parameters.items()}
        for key, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[key])
        if step == 6:  # the rate may change between steps
            optimizer.learning_rate /= 2
            expected.param_groups[0]["lr"] /= 2
        optimizer.step(parameters, grads)
        expected.step()
    for key, tensor in tensors.items():
        np.testing.assert_allclose(parameters[key], tensor.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_rows_agree_with_sparse_adam():
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((10, 3))
    tensor = torch.tensor(weight, requires_grad=True)
    optimizer = make_optimizer("adam", learning_rate=0.1, epsilon=1e-20)  # SparseAdam puts its epsilon elsewhere
    expected = torch.optim.SparseAdam([tensor], lr=0.1, eps=1e-20)
    for _ in range(10):
        rows = np.sort(rng.choice(10, 4, replace=False))
        grad = np.zeros_like(weight)
        grad[rows] = rng.standard_normal((4, 3))
        tensor.grad = torch.sparse_coo_tensor(
            torch.tensor(rows)[None], torch.tensor(grad[rows]), (10, 3), check_invariants=True
        )
        optimizer.step({"weight": weight}, {"weight": grad}, {"weight": rows})
        expected.step()
    np.testing.assert_allclose(weight, tensor.detach().numpy(), rtol=1e-12, atol=1e-12)
