"""The dense (fully connected) layer."""

import numpy as np

from fastrnn._memory import empty, empty_like
from fastrnn.kernels.dense import activate, activation_gradient, dense_backward, dense_forward
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
        Whether there is a b.
    activation : {"relu", "tanh", "sigmoid"} or None, default=None
        Function applied to each element.
    dtype, random_state, n_jobs
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

    def __init__(
        self, in_features, out_features, bias=True, activation=None, *, dtype="float32", random_state=None, n_jobs=None
    ):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
        check_choice("activation", activation, ACTIVATIONS)
        self.in_features = in_features
        self.out_features = out_features
        self.activation = activation
        bound = 1 / np.sqrt(in_features)
        self._add_parameter("weight", self._uniform(bound, (out_features, in_features)))
        if bias:
            self._add_parameter("bias", self._uniform(bound, out_features))

    def forward(self, x, training=False):
        """Compute the layer's output.

        Parameters
        ----------
        x : array-like (..., in_features)
        training : bool, default=False
            Keep what `backward` needs: x, which must not change before, and y where there is an activation.

        Returns
        -------
        ndarray (..., out_features)
        """
        x = np.asarray(x)
        rows = self._rows(x)
        y = empty((len(rows), self.out_features), self.dtype)
        dense_forward(y, rows, self.parameters["weight"], self.parameters.get("bias"), self.n_jobs)
        if self.activation is not None:
            activate(y, self.activation)
        if training:
            self._keep(rows, y, x.shape)
        return y.reshape(*x.shape[:-1], self.out_features)

    def backward(self, dy):
        """Add to the gradients of the parameters, and return that of x.

        Parameters
        ----------
        dy : array-like (..., out_features)
            Gradient of the loss with respect to what the last `forward` returned.

        Returns
        -------
        ndarray (..., in_features)
        """
        x, y, shape = self._recall()
        dy = np.ascontiguousarray(dy, self.dtype).reshape(y.shape)
        if self.activation is not None:
            dy = activation_gradient(dy, y, self.activation)
        dx = empty_like(x)
        grads = self.grads
        dense_backward(dx, grads["weight"], grads.get("bias"), dy, x, self.parameters["weight"], self.n_jobs)
        return dx.reshape(shape)

    def _rows(self, x):
        """Return x as a contiguous matrix (rows, in_features) of the layer's type."""
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"The last axis of x must have length {self.in_features}, got an array of shape {x.shape}."
            )
        return np.ascontiguousarray(x, self.dtype).reshape(-1, self.in_features)
