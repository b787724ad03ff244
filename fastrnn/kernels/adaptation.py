"""The update of dynamic evaluation: down the gradient, and back towards the weights that were learned."""

from fastrnn._jit import kernel


@kernel
def adapt_weights(weight, grad, origin, rms, rate, decay, mean_rms, epsilon):
    """Update weights; without `rms` by plain gradient descent."""
    # weight, grad, origin (n,), rms (n,) or (0,): root mean square of the gradients in training
    if len(rms):
        for i in range(len(weight)):
            pull = min(decay * rms[i] / mean_rms, 1.0)
            weight[i] += pull * (origin[i] - weight[i]) - rate * grad[i] / (rms[i] + epsilon)
    else:
        for i in range(len(weight)):
            weight[i] += decay * (origin[i] - weight[i]) - rate * grad[i]
