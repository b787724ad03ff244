"""The dense (fully connected) layer."""

import math

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.utils.checks import check_choice

ACTIVATIONS = (None, "relu", "tanh", "sigmoid")


class Dense(Layer):
    """y = activation(x·Wᵀ + b), on the last axis of x.

    Parameters
    ----------
    in_features : int
        Length of the last axis of x.
    out_features : int
        Length of the last axis of y.
    bias : bool, default=True
        Whether to add the bias b.
    activation : {"relu", "tanh", "sigmoid"} or None, default=None
        Function applied to each element.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``weight`` (out_features, in_features) and ``bias`` (out_features,), drawn uniformly from ±1/√in_features.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers.dense import Dense
    >>> layer = Dense(4, 3, random_state=0)
    >>> layer.forward(np.ones((5, 2, 4)), training=True).shape
    (5, 2, 3)
    >>> layer.backward(np.ones((5, 2, 3))).shape
    (5, 2, 4)
    >>> layer.grads["bias"]
    array([10., 10., 10.], dtype=float32)
    """

    def __init__(self, in_features, out_features, bias=True, activation=None, *, dtype="float32", random_state=None,
                 n_jobs=None, device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        check_choice("activation", activation, ACTIVATIONS)
        self.in_features = in_features
        self.out_features = out_features
        self.activation = activation
        bound = 1 / np.sqrt(in_features)
        self._add_parameter("weight", self._uniform(bound, (out_features, in_features)))
        if bias:
            self._add_parameter("bias", self._uniform(bound, out_features))

    def forward(self, x, training=False, by_rows=False):
        """Compute the layer's output.

        Parameters
        ----------
        x : array-like (..., in_features)
        training : bool, default=False
            Whether to keep x and y for `backward`. x must not change before that.
        by_rows : bool, default=False
            Whether a row's bits must not depend on the number of rows. Few rows then take longer.

        Returns
        -------
        array of the device (..., out_features)
        """
        backend, weight, bias = self.backend, self.parameters["weight"], self.parameters.get("bias")
        rows, shape = self._rows(x, backend)
        y = backend.empty((rows.shape[0], self.out_features), self.dtype)
        backend.dense_forward(y, rows, weight, bias, self.n_jobs, by_rows)
        if self.activation is not None:
            backend.activate(y, self.activation)
        if training:
            self._keep(rows, y, shape)
        return y if len(shape) == 2 else backend.reshape(y, (*shape[:-1], self.out_features))

    def backward(self, dy):
        """Add to the gradients of the parameters, and return that of x.

        Parameters
        ----------
        dy : array-like (..., out_features)
            Gradient of the loss with respect to the last output.

        Returns
        -------
        array of the device (..., in_features)
        """
        backend, grads = self.backend, self.grads
        x, y, shape = self._recall()
        dy = backend.reshape(backend.asarray(dy, self.dtype), y.shape)
        if self.activation is not None:
            dy = backend.activation_gradient(dy, y, self.activation)
        dx = backend.empty_like(x)
        backend.dense_backward(dx, grads["weight"], grads.get("bias"), dy, x, self.parameters["weight"], self.n_jobs)
        return backend.reshape(dx, shape)

    def _rows(self, x, backend):
        """Return x as a matrix (rows, in_features) of the layer's type, and the shape of x."""
        x = backend.asarray(x, self.dtype)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"The last axis of x must have length {self.in_features}, got an array of shape {x.shape}."
            )
        if x.ndim == 2:  # as it is, for short calls
            return x, x.shape
        return backend.reshape(x, (math.prod(x.shape[:-1]), self.in_features)), x.shape
