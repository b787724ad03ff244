"""The base class of networks: layers by name, an encoder and a head, and the gradients of a batch."""

import abc
import copy

from fastrnn.backends import resolved
from fastrnn.networks._memory import within_memory
from fastrnn.utils.shared import Held


class Network(abc.ABC):
    """An encoder, made of layers, and a head, see `fastrnn.networks.heads`.

    A subclass adds its layers with `add_layer`, last of all its head with `add_head`, and writes `encode_training` and
    `encode_backward`. A parameter's name is "layer.parameter". Files and checkpoints hold parameters by these names.

    Attributes
    ----------
    layers : dict of str to Layer
        All layers of the encoder, those of dropout too, and of the head.
    head : Head
    frozen : frozenset of str
        Names of parameters that are not trained.
    tied : frozenset of str
        Second names of parameters, which are left out.
    penalties : tuple of float
        Factors of the activity penalty and of the temporal one. Reported losses exclude the penalties.
    """

    def __init__(self):
        self.layers, self.head = {}, None
        self.frozen, self.tied, self.penalties = frozenset(), frozenset(), (0.0, 0.0)
        self._kept = None  # by `encode_training` for `encode_backward`
        self._held = Held(tuple)  # nothing to be prepared

    def __getstate__(self):
        return {**vars(self), "_kept": None}

    def add_layer(self, name, layer):
        """Add a layer by its name; return it."""
        self.layers[name] = layer
        return layer

    def add_head(self, head):
        """Add the head."""
        self.head = head
        self.layers.update(head.layers)

    @property
    def backend(self):
        """The module with the kernels and array operations of the network's device."""
        return self.head.layer.backend

    def place(self, device, precision):
        """Move the network to a device, in place, see `fastrnn.layers.Layer.place`."""
        if (self.head.layer.device, self.head.layer.precision) == (resolved(device), precision):
            return
        self.held_weights().drop()
        state = self.training_state()
        for layer in self.layers.values():
            layer.place(device, precision)
        self.set_training_state(*state)

    # --------------------------------------------------------------------------------------------------- parameters

    def _named(self, attribute):
        """Return an attribute of all layers in one dict, without second names of tied arrays."""
        return {
            f"{name}.{key}": array
            for name, layer in self.layers.items()
            for key, array in getattr(layer, attribute).items()
            if f"{name}.{key}" not in self.tied
        }

    @property
    def all_parameters(self):
        """All parameters by name, the frozen ones too."""
        return self._named("parameters")

    @property
    def parameters(self):
        """The parameters that are trained, by name."""
        return {name: array for name, array in self.all_parameters.items() if name not in self.frozen}

    @property
    def grads(self):
        """The gradients of the parameters that are trained, by name."""
        return {name: array for name, array in self._named("grads").items() if name not in self.frozen}

    def sparse_rows(self):
        """Return the rows that are not zero of each gradient that has few of them: dict of name to int64 array."""
        rows = {
            f"{name}.{key}": used for name, layer in self.layers.items() for key, used in layer.sparse_rows().items()
        }
        return {name: used for name, used in rows.items() if name not in self.frozen}

    @property
    def n_parameters(self):
        """Number of parameters, the frozen ones included."""
        return sum(array.size for array in self.all_parameters.values())

    @property
    def nbytes(self):
        """Bytes of the parameters, the frozen ones included."""
        return sum(array.size * array.dtype.itemsize for array in self.all_parameters.values())

    def make_writable(self):
        """Copy the arrays that cannot be written to, before they are trained; see `fastrnn.layers.Layer`."""
        for layer in self.layers.values():
            layer.make_writable()

    def zero_grad(self):
        """Set all gradients to zero."""
        for layer in self.layers.values():
            layer.zero_grad()

    @property
    def buffers(self):
        """Arrays of a saved network that are not trained, by name; they stay on the host."""
        return {f"output.{name}": array for name, array in self.head.buffers.items()}

    def get_arrays(self):
        """Return the content of a file: all parameters and buffers, as host arrays by name."""
        arrays = {name: self.backend.to_numpy(array) for name, array in self.all_parameters.items()}
        return {**arrays, **self.buffers}

    def set_arrays(self, arrays):
        """Copy in the parameters that `get_arrays` of such a network returned; other arrays are ignored."""
        for name, array in self.all_parameters.items():
            self.backend.assign(array, arrays[name])

    def held_weights(self):
        """Return the holder of weights that are prepared once for many predictions, see `fastrnn.utils.shared.Held`.

        While it holds them, weights must not change.
        """
        return self._held

    # ----------------------------------------------------------------------------------------------------- training

    @abc.abstractmethod
    def encode_training(self, batch):
        """Return the head's input for a batch, and the lengths of its sequences or None; keep what backward needs."""

    @abc.abstractmethod
    def encode_backward(self, dh, scale):
        """Add to the gradients of the encoder; `scale` is a factor of the penalties."""

    def train_step(self, batch, scale=1.0, clear=True):
        """Compute the gradients of the mean loss of a batch.

        Parameters
        ----------
        batch : batch
            What `encode_training` reads, with its ``targets``.
        scale : float, default=1.0
            Factor of the gradients.
        clear : bool, default=True
            Whether gradients are zeroed first; otherwise they add to those of the batches before.

        Returns
        -------
        loss : float
            The mean loss of the batch, whatever `scale` is.
        total : int or float
            The number of elements that the loss is the mean of, or the sum of their weights.
        """
        return within_memory(self, batch, lambda batch: self._train_step(batch, scale, clear))

    def _train_step(self, batch, scale, clear):
        """Carry out `train_step`."""
        if clear:
            self.zero_grad()
        h, lengths = self.encode_training(batch)
        weights, total = self.head.mean_weights(batch, scale)
        loss, dh = self.head.loss_and_gradient(h, batch.targets, weights, lengths)
        self.encode_backward(dh, scale)
        return loss / scale, total

    def forget(self):
        """Release what backward passes were to read."""
        self._kept = None
        for layer in self.layers.values():
            layer.forget()

    def _penalized(self, gradient, y, penalty, factor):
        """Return the gradient of y with that of a penalty added, a name in `fastrnn.layers.penalties`."""
        if not factor:
            return gradient
        dy = self.backend.empty_like(y)
        getattr(self.backend, f"{penalty}_gradient")(dy, y, factor)
        return self.backend.add(gradient, dy)

    def training_state(self):
        """Return the state of training besides the parameters: plain values, and host arrays by name."""
        return {"layers": {name: layer.training_state() for name, layer in self.layers.items()}}, {}

    def set_training_state(self, content, arrays):
        """Restore the state that `training_state` returned."""
        for name, layer in self.layers.items():
            layer.set_training_state(content["layers"][name])

    def without_noise(self):
        """Return a copy of the network that is trained without dropout and penalties; zoneout stays."""
        network = copy.deepcopy(self)
        for layer in network.layers.values():
            layer.remove_noise()
        network.penalties = 0.0, 0.0
        return network
