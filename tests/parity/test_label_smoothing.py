"""The loss of smoothed labels, and its gradients, against torch's."""

import numpy as np
import pytest

from fastrnn.layers.large_softmax import make_softmax

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_loss_and_gradients_of_smoothed_labels(dtype, tolerance, size):
    rng = np.random.default_rng(0)
    x, targets = rng.standard_normal((7, 4)).astype(dtype), np.array([3, -1, 0, 11, 3, -1, 5])
    layer = make_softmax("full", 4, 12, size, label_smoothing=0.2, dtype=dtype, random_state=0)
    loss, dx = layer.loss_and_gradient(x, targets, 1 / 5)
    inputs = torch.tensor(x, requires_grad=True)
    weights = {name: torch.tensor(array, requires_grad=True) for name, array in layer.state_dict().items()}
    projected = inputs if size is None else inputs @ weights["projection"].T
    criterion = torch.nn.CrossEntropyLoss(ignore_index=-1, label_smoothing=0.2)
    expected = criterion(projected @ weights["weight"].T + weights["bias"], torch.tensor(targets))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=tolerance)
    np.testing.assert_allclose(dx, inputs.grad, rtol=tolerance, atol=tolerance)
    for name, weight in weights.items():
        np.testing.assert_allclose(layer.grads[name], weight.grad, rtol=tolerance, atol=tolerance, err_msg=name)
