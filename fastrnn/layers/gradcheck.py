"""A check of gradients for layers and cells of one's own."""

import copy

import numpy as np
from sklearn.utils import check_random_state


def gradcheck(layer, x, *, epsilon=1e-6, rtol=1e-5, atol=1e-7, n_directions=3, random_state=0, **arguments):
    """Compare the gradients of a layer with central differences along random directions.

    The loss is a random linear function of everything that `forward` returns. Masks of dropout and the like are held
    fixed.

    Parameters
    ----------
    layer : Layer
        With ``dtype="float64"``; it is not changed.
    x : ndarray
        Input; its gradient is checked too, unless it is of integers.
    epsilon : float, default=1e-6
        Step of the differences.
    rtol, atol : float
        Largest relative or absolute error of a slope.
    n_directions : int, default=3
        Directions for each array.
    random_state : int, RandomState instance or None, default=0
    **arguments
        Further arguments of `forward`: ``state``, ``lengths``.

    Returns
    -------
    dict of str to float
        The largest error of each array, relative to the slope or to `atol` / `rtol` where that is larger.

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
    random_state = check_random_state(random_state)
    x = np.array(x)
    outputs = _flat(copy.deepcopy(layer).forward(x, training=True, **arguments))
    upstream = [random_state.standard_normal(output.shape) for output in outputs]

    def loss(model):
        model = copy.deepcopy(model)  # with the generators of its masks as they are
        results = _flat(model.forward(x, training=True, **arguments))
        return sum((output * factor).sum() for output, factor in zip(results, upstream, strict=True))

    trained = copy.deepcopy(layer)
    trained.zero_grad()
    trained.forward(x, training=True, **arguments)
    dy, *d_states = upstream
    d_state = tuple(d_states) if len(d_states) > 1 else d_states[:1]
    result = trained.backward(dy, *([d_state] if isinstance(d_state, tuple) else d_state))
    gradients = dict(trained.grads)
    probe = copy.deepcopy(layer)
    arrays = dict(probe.parameters)
    if x.dtype.kind == "f":
        gradients["x"], arrays["x"] = result[0] if isinstance(result, tuple) else result, x
    errors = {}
    for name, gradient in gradients.items():
        for _ in range(n_directions):
            direction = random_state.standard_normal(gradient.shape)
            expected = _slope(lambda: loss(probe), arrays[name], epsilon * direction) / epsilon
            slope = float((gradient * direction).sum())
            error = abs(slope - expected) / max(abs(expected), atol / rtol)
            if not error <= rtol:
                raise AssertionError(f"The gradient of {name} gives the slope {slope:.9g}, differences {expected:.9g}.")
            errors[name] = max(errors.get(name, 0.0), error)
    return errors


def _flat(result):
    """Return the arrays that forward returned as a list."""
    if isinstance(result, tuple):
        return [array for part in result for array in _flat(part)]
    return [result]


def _slope(function, array, step):
    """Return the central difference of a function of `array` along `step`; the array is put back."""
    original = array.copy()
    array[...] = original + step
    above = function()
    array[...] = original - step
    below = function()
    array[...] = original
    return (above - below) / 2
