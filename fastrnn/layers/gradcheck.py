"""Check of the gradients of a layer or a cell against finite differences."""

import copy

import numpy as np
from sklearn.utils import check_random_state


def gradcheck(layer, x, *, epsilon=1e-6, rtol=1e-5, atol=1e-7, n_directions=3, random_state=0, **arguments):
    """Compare the gradients of a layer with central differences along random directions.

    The loss is a random linear function of everything that `forward` returns. Masks of dropout and zoneout are the same
    in all passes.

    Parameters
    ----------
    layer : Layer
        Its ``dtype`` must be "float64". It is not changed.
    x : array-like
        Input. Its gradient is checked too, unless it consists of integers.
    epsilon : float, default=1e-6
        Step of the differences.
    rtol, atol : float, default=1e-5, 1e-7
        Largest relative error of a slope, and the largest absolute one.
    n_directions : int, default=3
        Number of directions for each array.
    random_state : int, RandomState instance or None, default=0
    **arguments
        Further arguments of `forward`, such as ``lengths``.

    Returns
    -------
    dict of str to float
        The largest error for each array, relative to the slope or to `atol` / `rtol`, whichever is larger.

    Raises
    ------
    AssertionError
        A gradient differs; the message names the array and both slopes.
    ValueError
        The layer does not compute in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import GRU, gradcheck
    >>> errors = gradcheck(GRU(3, 4, dtype="float64"), np.random.standard_normal((5, 2, 3)), lengths=[5, 3])
    >>> sorted(errors)
    ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0', 'x']
    """
    if layer.dtype != np.float64:
        raise ValueError(f"layer must have dtype='float64' to compare differences, got {layer.dtype}.")
    random_state, x, probe = check_random_state(random_state), np.array(x), copy.deepcopy(layer)
    upstream = [random_state.standard_normal(output.shape) for output in _outputs(probe, x, arguments)]

    def loss():
        return sum((y * dy).sum() for y, dy in zip(_outputs(probe, x, arguments), upstream, strict=True))

    errors = {}
    for name, gradient in _gradients(layer, x, upstream, arguments).items():
        array, assign = (x, np.copyto) if name == "x" else (probe.parameters[name], layer.backend.assign)
        value = np.array(x if name == "x" else layer.backend.to_numpy(array))
        for _ in range(n_directions):
            direction = random_state.standard_normal(gradient.shape)
            losses = []
            for moved in (value + epsilon * direction, value - epsilon * direction):
                assign(array, moved)
                losses.append(loss())
            assign(array, value)
            expected, slope = (losses[0] - losses[1]) / (2 * epsilon), float((gradient * direction).sum())
            error = abs(slope - expected) / max(abs(expected), atol / rtol)
            if not error <= rtol:
                raise AssertionError(f"The gradient of {name} gives the slope {slope:.9g}, differences {expected:.9g}.")
            errors[name] = max(errors.get(name, 0.0), error)
    return errors


def _outputs(layer, x, arguments):
    """Return all arrays that `forward` returns, as host arrays; the layer's passes are not counted."""
    results = copy.deepcopy(layer).forward(x, training=True, **arguments)
    return [layer.backend.to_numpy(array) for array in _flat(results)]


def _gradients(layer, x, upstream, arguments):
    """Return the gradients that `backward` computes from those of all outputs, as host arrays by name."""
    layer = copy.deepcopy(layer)
    layer.zero_grad()
    layer.forward(x, training=True, **arguments)
    dy, *d_states = upstream
    result = layer.backward(dy, *([tuple(d_states)] if len(d_states) > 1 else d_states))
    gradients = dict(layer.grads)
    if x.dtype.kind == "f":
        gradients["x"] = result[0] if isinstance(result, tuple) else result
    return {name: layer.backend.to_numpy(gradient) for name, gradient in gradients.items()}


def _flat(result):
    """Return the arrays in nested tuples as a list."""
    return [array for part in result for array in _flat(part)] if isinstance(result, tuple) else [result]
