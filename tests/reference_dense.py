"""Slow float64 dense layers, losses and optimizers, written from the equations, one row and one number at a time."""

import math

import numpy as np


def dense(x, weight, bias):
    """Return y with y[i, n] = sum over k of x[i, k] · weight[n, k], plus bias[n]; x (M, K), weight (N, K)."""
    y = np.zeros((len(x), len(weight)))
    for i, row in enumerate(x):
        for n, line in enumerate(weight):
            y[i, n] = bias[n] + math.fsum(float(a) * float(b) for a, b in zip(row, line, strict=True))
    return y


def embedding(weight, ids):
    """Return the vectors of ids; weight (V, D), ids (N,)."""
    return np.array([weight[i] for i in ids], float).reshape(len(ids), weight.shape[1])


def embedding_gradient(shape, ids, dy, padding_idx=None):
    """Return the gradient of the table; dy (N, D)."""
    gradient = np.zeros(shape)
    for i, row in zip(ids, dy, strict=True):
        if i != padding_idx:
            gradient[i] += row
    return gradient


def softmax(logits):
    """Return the softmax of logits (V,)."""
    shifted = [float(a) - float(max(logits)) for a in logits]
    total = math.fsum(math.exp(a) for a in shifted)
    return np.array([math.exp(a) / total for a in shifted])


def cross_entropy(x, weight, bias, targets, weights, smoothing=0.0):
    """Return log p of the targets (0 where negative), and the gradients dx, dweight, dbias of the weighted loss.

    With smoothing e, log p is (1 - e) times that of the target, plus e times the mean over all classes.
    """
    x, weight, bias = (np.asarray(a, float) for a in (x, weight, bias))
    log_probs = np.zeros(len(x))
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
    logits = dense(x, weight, bias)
    for i, target in enumerate(targets):
        if target < 0:
            continue
        largest = logits[i].max()
        log_p = logits[i] - largest - math.log(math.fsum(np.exp(logits[i] - largest)))
        log_probs[i] = log_p[target]
        dlogits = softmax(logits[i])
        dlogits[target] -= 1 - smoothing
        if smoothing:
            log_probs[i] = (1 - smoothing) * log_p[target] + smoothing * math.fsum(log_p) / len(log_p)
            dlogits -= smoothing / len(log_p)
        dlogits *= weights[i]
        dx[i] = weight.T @ dlogits
        dweight += np.outer(dlogits, x[i])
        dbias += dlogits
    return log_probs, dx, dweight, dbias


def optimizer_steps(name, start, gradients, rate, **options):
    """Return one number after steps along its gradients (a list), by the rule `name` of the original papers."""
    w, decay = float(start), options.get("weight_decay", 0.0)
    mean = square = velocity = 0.0
    for step, g in enumerate(map(float, gradients), 1):
        if name == "adamw":
            w -= rate * decay * w
        else:
            g += decay * w
        if name in ("adam", "adamw"):
            b1, b2 = options.get("beta_1", 0.9), options.get("beta_2", 0.999)
            mean = b1 * mean + (1 - b1) * g
            square = b2 * square + (1 - b2) * g**2
            w -= rate * (mean / (1 - b1**step)) / (math.sqrt(square / (1 - b2**step)) + options.get("epsilon", 1e-8))
        elif name == "adagrad":
            square += g**2
            w -= rate * g / (math.sqrt(square) + options.get("epsilon", 1e-10))
        elif name == "rmsprop":
            rho = options.get("rho", 0.99)
            square = rho * square + (1 - rho) * g**2
            velocity = options.get("momentum", 0.0) * velocity + g / (math.sqrt(square) + options.get("epsilon", 1e-8))
            w -= rate * velocity
        elif name == "sgd":
            momentum = options.get("momentum", 0.0)
            velocity = momentum * velocity + g
            w -= rate * (g + momentum * velocity if options.get("nesterov") else velocity)
        else:
            raise AssertionError(f"The reference does not know the optimizer {name!r}.")
    return w
