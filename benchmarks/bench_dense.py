"""Dense layers, the softmax and optimizers beside what NumPy's own product and copy take on the same arrays."""

import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import ROUNDS
from fastrnn.kernels.threads import effective_n_jobs
from fastrnn.layers import Dropout
from fastrnn.layers.dense import Dense
from fastrnn.layers.softmax import Softmax
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import OPTIMIZERS, make_optimizer


def _seconds(functions, n_jobs):
    """Return the median seconds of each function, called in turns; BLAS has as many threads."""
    seconds = [[] for _ in functions]
    with threadpool_limits(n_jobs):
        for repeat in range(ROUNDS + 1):
            for function, own in zip(functions, seconds, strict=True):
                if n_jobs > 1:
                    time.sleep(0.1)  # threads of BLAS spin for a while after their work
                start = time.perf_counter()
                function()
                if repeat:  # the first one compiles
                    own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in seconds]


class _Products:
    """A matrix x (R, H), a layer with a weight (V, H), and the products of the two that a layer needs."""

    params = ([1, -1], ["700x200x10000", "2500x128x65", "100x200x10000", "700x200x200"])
    param_names = ("n_jobs", "rows x inputs x outputs")

    def setup(self, n_jobs, sizes):
        rows, inputs, outputs = map(int, sizes.split("x"))
        rng = np.random.default_rng(0)
        self.n_jobs = effective_n_jobs(n_jobs)
        self.x = rng.standard_normal((rows, inputs)).astype("f4")
        self.targets = rng.integers(0, outputs, rows)
        self.dy = rng.standard_normal((rows, outputs)).astype("f4")
        self.out = [np.empty_like(self.dy), np.empty_like(self.x), np.empty((outputs, inputs), "f4")]
        self.dense = Dense(inputs, outputs, random_state=0, n_jobs=self.n_jobs)
        self.softmax = Softmax(inputs, outputs, random_state=0, n_jobs=self.n_jobs)
        self.weight = self.dense.parameters["weight"]

    def forward(self):
        np.dot(self.x, self.weight.T, out=self.out[0])

    def all_three(self):
        self.forward()
        np.dot(self.dy, self.weight, out=self.out[1])
        np.dot(self.dy.T, self.x, out=self.out[2])


class DenseSpeed(_Products):
    def train(self):
        self.dense.forward(self.x, training=True)
        self.dense.backward(self.dy)

    def track_training_in_dots(self, n_jobs, sizes):
        """Speed of forward and backward, as a share of that of their three products by np.dot."""
        dots, ours = _seconds([self.all_three, self.train], self.n_jobs)
        return dots / ours


class SoftmaxSpeed(_Products):
    def track_training_in_dots(self, n_jobs, sizes):
        """Speed of loss and gradient, as a share of that of their three products by np.dot."""
        train = lambda: self.softmax.loss_and_gradient(self.x, self.targets)  # noqa: E731
        dots, ours = _seconds([self.all_three, train], self.n_jobs)
        return dots / ours

    def track_log_probs_in_dots(self, n_jobs, sizes):
        """Speed of log_probs, as a share of that of its product by np.dot."""
        dots, ours = _seconds([self.forward, lambda: self.softmax.log_probs(self.x, self.targets)], self.n_jobs)
        return dots / ours


class OptimizerSpeed:
    params = (list(OPTIMIZERS), ["10000x200", "200x200"])
    param_names = ("optimizer", "shape")

    def track_step_in_copies(self, name, shape):
        """Seconds of a step on one thread, in copies of the parameter."""
        shape = tuple(map(int, shape.split("x")))
        parameters, grads = {"w": np.ones(shape, "f4")}, {"w": np.ones(shape, "f4")}
        other = np.empty(shape, "f4")
        optimizer = make_optimizer(name, n_jobs=1)
        copy, step = _seconds([lambda: np.copyto(other, grads["w"]), lambda: optimizer.step(parameters, grads)], 1)
        return step / copy


class ClippingSpeed:
    params = (["10000x200", "200x200"],)
    param_names = ("shape",)

    def track_norm_in_copies(self, shape):
        """Seconds of a gradient's norm, in copies of the gradient."""
        grads = {"w": np.ones(tuple(map(int, shape.split("x"))), "f4")}
        other = np.empty_like(grads["w"])
        copy, norm = _seconds([lambda: np.copyto(other, grads["w"]), lambda: clip_grad_norm(grads, 1e9)], 1)
        return norm / copy


class DropoutSpeed:
    params = (["35x20x200", "35x20x650"], [False, True])
    param_names = ("T x B x H", "locked")

    def track_passes_in_copies(self, shape, locked):
        """Seconds of forward and backward on one thread, in copies of the activations."""
        x = np.ones(tuple(map(int, shape.split("x"))), "f4")
        other, layer = np.empty_like(x), Dropout(0.3, locked, random_state=0, n_jobs=1)

        def both():
            layer.forward(x, training=True)
            layer.backward(x)

        copy, passes = _seconds([lambda: np.copyto(other, x), both], 1)
        return passes / copy
