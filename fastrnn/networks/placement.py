"""Estimators with a network: the device that it is on."""

from fastrnn.backends import available, backend, resolved
from fastrnn.utils.use import Use


class PlacedMixin:
    """Mixin of estimators with the parameters `device` and `precision`: the network is where they say.

    It expects ``network_`` and ``_optimizer``, once they are fitted.
    """

    def set_params(self, **params):
        """Set parameters, as scikit-learn's estimators do; a fitted network moves to a new `device`.

        Parameters
        ----------
        **params : object

        Returns
        -------
        self : object

        Raises
        ------
        RuntimeError
            A fitted model cannot be moved to a GPU that is not there; nothing is changed then.
        """
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

    def _place_network(self):
        """Move network and optimizer of a fitted model to where the parameters say."""
        device, optimizer = resolved(self.device), self._optimizer
        self.network_.place(device, self.precision)
        if optimizer is not None and optimizer.device != device:
            optimizer.place(device)

    def __setstate__(self, state):
        super().__setstate__({**state, "device": available(state["device"])})
