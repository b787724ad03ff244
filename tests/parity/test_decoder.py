"""A decoder of two layers with attention against the same loop in torch: outputs and every gradient."""

import numpy as np
import pytest

from fastrnn.layers import Attention, Decoder

torch = pytest.importorskip("torch")

STEPS, BATCH, INPUTS, HIDDEN, SOURCE_STEPS = 5, 3, 4, 7, 6
SOURCE_LENGTHS = np.array([4, 6, 1])


def torch_decoder(x, state, memory, p, feeding):
    """Return outputs (T, B, H + M) and final states (2, B, H) of a decoder with the parameters `p`."""
    sizes = [x.shape[2] + (HIDDEN if feeding else 0), 2 * HIDDEN]
    cells = [torch.nn.GRUCell(size, HIDDEN, dtype=torch.float64) for size in sizes]
    named = [{name.removesuffix(f"_l{k}"): p[name] for name in p if name.endswith(f"_l{k}")} for k in range(2)]
    behind = torch.arange(SOURCE_STEPS)[:, None] >= torch.tensor(SOURCE_LENGTHS)
    keys = memory @ p["attention.weight_memory"].T if "attention.weight_memory" in p else memory
    lower, upper, y = *state, []

    def context_of(query):
        if "attention.score" in p:
            query = torch.nn.functional.linear(query, p["attention.weight_query"], p["attention.bias"])
            scores = torch.tanh(query + keys) @ p["attention.score"]
        else:
            scores = (query * keys).sum(2)
        weights = torch.softmax(scores.masked_fill(behind, -torch.inf), 0)
        return (weights[:, :, None] * memory).sum(0)

    for row in x:
        context = context_of(lower)
        first = torch.cat([row, context], 1) if feeding else row
        lower = torch.func.functional_call(cells[0], named[0], (first, lower))
        context = context if feeding else context_of(lower)
        upper = torch.func.functional_call(cells[1], named[1], (torch.cat([lower, context], 1), upper))
        y.append(torch.cat([upper, context], 1))
    return torch.stack(y), torch.stack([lower, upper])


@pytest.mark.parametrize(
    ("score", "feeding"), [("additive", True), ("additive", False), ("dot", False), ("general", False)]
)
def test_outputs_and_gradients(score, feeding):
    rng = np.random.default_rng(0)
    attention = Attention(HIDDEN, HIDDEN, score, dtype="float64", random_state=0)
    decoder = Decoder("gru", INPUTS, HIDDEN, 2, attention, feeding, dtype="float64", random_state=0)
    x, state, memory, dy, d_final = (
        rng.standard_normal(shape)
        for shape in [
            (STEPS, BATCH, INPUTS),
            (2, BATCH, HIDDEN),
            (SOURCE_STEPS, BATCH, HIDDEN),
            (STEPS, BATCH, decoder.output_size),
            (2, BATCH, HIDDEN),
        ]
    )
    y, final, _ = decoder.forward(x, state, attention.read(memory, SOURCE_LENGTHS, training=True), training=True)
    gradients = decoder.backward(dy, d_final)

    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in decoder.parameters.items()}
    inputs = [torch.tensor(array, requires_grad=True) for array in (x, state, memory)]
    expected_y, expected_final = torch_decoder(*inputs, parameters, feeding)
    expected = torch.autograd.grad(
        (expected_y, expected_final), [*inputs, *parameters.values()], (torch.tensor(dy), torch.tensor(d_final))
    )
    pairs = zip([y, final, *gradients, *decoder.grads.values()], [expected_y, expected_final, *expected], strict=True)
    for got, theirs in pairs:
        np.testing.assert_allclose(got, theirs.detach().numpy(), atol=1e-11)
