"""Estimators with a network: the device that it is on, and its size."""

import functools

from sklearn.base import BaseEstimator

from fastrnn.backends import available, backend, resolved
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.use import Use


class PlacedMixin:
    """Mixin of estimators with the parameters `device` and `precision`: the network is where they say.

    It expects ``network_`` and ``_optimizer``, once they are fitted.
    """

    @functools.wraps(BaseEstimator.set_params)  # `help` shows it as one of scikit-learn's
    def set_params(self, **params):
        """Set parameters; a fitted network moves to a new device, and RuntimeError says if there is none."""
        if hasattr(self, "network_") and {"device", "precision"} & params.keys():
            place = {name: params.get(name, getattr(self, name)) for name in ("device", "precision")}
            try:
                backend(**place)
            except ValueError:  # `fit` refuses it, like any other parameter
                return super().set_params(**params)
            with Use((self,), (), f"{type(self).__name__}.set_params"):
                super().set_params(**params)
                self._place_network()
                return self
        return super().set_params(**params)

    @property
    def n_parameters_(self):
        """Number of parameters."""
        check_fitted(self, "network_")
        return self.network_.n_parameters

    @property
    def nbytes_(self):
        """Bytes of the parameters."""
        check_fitted(self, "network_")
        return self.network_.nbytes

    def _place_network(self):
        """Move network and optimizer of a fitted model to where the parameters say."""
        device, optimizer = resolved(self.device), self._optimizer
        self.network_.place(device, self.precision)
        if optimizer is not None and optimizer.device != device:
            optimizer.place(device)

    def __setstate__(self, state):
        super().__setstate__({**state, "device": available(state["device"])})
