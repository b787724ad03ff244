"""Outputs and every gradient of the recurrent layers against torch, through load_state_dict."""

import itertools

import numpy as np
import pytest

from fastrnn.layers import GRU, LSTM, RNN

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")

CELLS = {
    "rnn": (RNN, torch.nn.RNN, {}),
    "rnn_relu": (RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, torch.nn.GRU, {}),
    "lstm": (LSTM, torch.nn.LSTM, {}),
    "lstm projected": (LSTM, torch.nn.LSTM, {"proj_size": 6}),
}
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}  # relative to the largest element


def check(name, ours, theirs, tolerance):
    theirs = theirs.detach().numpy()
    scale = max(np.abs(theirs).max(), 1e-30)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale, err_msg=name)


def torch_forward(module, x, state, lengths, batch_first):
    if lengths is None:
        return module(x, state)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    packed = pack(x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False)
    y, state = module(packed, state)
    total = x.shape[1 if batch_first else 0]
    return torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=batch_first, total_length=total)[0], state


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("layers", "bidirectional", "bias", "batch_first"), list(itertools.product((1, 2), *[(False, True)] * 3))
)
@pytest.mark.parametrize("ragged", [False, True])
def test_outputs_and_gradients(cell, dtype, layers, bidirectional, bias, batch_first, ragged):
    steps, batch, inputs, hidden = 7, 5, 9, 21
    rng = np.random.default_rng(0)
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    cls, torch_cls, extra = CELLS[cell]
    layer = cls(inputs, hidden, dtype=dtype, random_state=0, **options, **extra)
    module = torch_cls(inputs, hidden, dtype=getattr(torch, dtype), **options, **extra)
    module.load_state_dict({name: torch.tensor(value) for name, value in layer.state_dict().items()})
    many = cell.startswith("lstm")
    rows = layers * (2 if bidirectional else 1)
    sizes = [extra.get("proj_size", hidden), hidden] if many else [hidden]
    x = rng.standard_normal((batch, steps, inputs) if batch_first else (steps, batch, inputs)).astype(dtype)
    state, d_final = ([rng.standard_normal((rows, batch, size)).astype(dtype) for size in sizes] for _ in range(2))
    lengths = np.array([3, 7, 1, 7, 4]) if ragged else None

    y, final = layer.forward(x, tuple(state) if many else state[0], lengths, training=True)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, d_initial = layer.backward(dy, tuple(d_final) if many else d_final[0])

    tx, *ts = (torch.tensor(a, requires_grad=True) for a in (x, *state))
    ty, tfinal = torch_forward(module, tx, tuple(ts) if many else ts[0], lengths, batch_first)
    tfinal = tfinal if many else (tfinal,)
    loss = (ty * torch.tensor(dy)).sum()
    for part, gradient in zip(tfinal, d_final, strict=True):
        loss = loss + (part * torch.tensor(gradient)).sum()
    loss.backward()

    tolerance = TOLERANCE[dtype]
    check("y", y, ty, tolerance)
    check("dx", dx, tx.grad, tolerance)
    for k in range(len(sizes)):
        check(f"final state {k}", final[k] if many else final, tfinal[k], tolerance)
        check(f"initial state {k}", d_initial[k] if many else d_initial, ts[k].grad, tolerance)
    for name, parameter in module.named_parameters():
        check(name, layer.grads[name], parameter.grad, tolerance)
