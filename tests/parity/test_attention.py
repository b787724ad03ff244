"""Contexts, weights and all gradients of attention against torch's operations on padded batches."""

import numpy as np
import pytest

from fastrnn.layers import Attention
from fastrnn.layers.attention import SCORES

torch = pytest.importorskip("torch")

STEPS, BATCH, QUERIES, SIZE = 6, 4, 5, 24
MEMORY_LENGTHS, LENGTHS = [6, 2, 5, 1], [1, 5, 4, 5]


def torch_attention(p, score, memory, queries):
    """Return contexts (T, B, M) and weights (T, B, S) of torch tensors."""
    keys = memory @ p["weight_memory"].T if "weight_memory" in p else memory
    if score == "additive":
        projected = queries @ p["weight_query"].T + p["bias"]
        scores = torch.tanh(projected[:, None] + keys[None]) @ p["score"]
    else:
        scores = torch.einsum("tba,sba->tsb", queries, keys)
    behind = torch.arange(len(memory))[:, None] >= torch.tensor(MEMORY_LENGTHS)
    weights = torch.softmax(scores.masked_fill(behind, -torch.inf), 1).transpose(1, 2)
    return torch.einsum("tbs,sbm->tbm", weights, memory), weights


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_outputs_and_gradients(score, dtype, tolerance):
    rng = np.random.default_rng(0)
    layer = Attention(SIZE, SIZE, score, dtype=dtype, random_state=0)
    memory, queries, d_contexts = (
        rng.standard_normal((steps, BATCH, SIZE)).astype(dtype) for steps in (STEPS, QUERIES, QUERIES)
    )
    inside = np.arange(QUERIES)[:, np.newaxis] < LENGTHS
    parameters, (x, q) = (
        {name: torch.tensor(value, requires_grad=True) for name, value in layer.state_dict().items()},
        [torch.tensor(array, requires_grad=True) for array in (memory, queries)],
    )
    expected_contexts, expected_weights = torch_attention(parameters, score, x, q)
    expected_contexts.backward(torch.tensor(d_contexts * inside[..., np.newaxis]))

    contexts, weights = layer.forward(
        queries, layer.read(memory, MEMORY_LENGTHS, training=True), LENGTHS, training=True
    )
    d_queries, d_memory = layer.backward(d_contexts), layer.read_backward()
    pairs = {
        "contexts": (contexts[inside], expected_contexts[inside]),
        "weights": (weights[inside], expected_weights[inside]),
        "queries": (d_queries, q.grad),
        "memory": (d_memory, x.grad),
        **{name: (gradient, parameters[name].grad) for name, gradient in layer.grads.items()},
    }
    for name, (got, expected) in pairs.items():
        expected = expected.detach().numpy()
        atol = tolerance * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=atol, err_msg=name)
