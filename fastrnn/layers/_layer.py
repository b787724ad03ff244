"""The base class of all layers: named parameters, their gradients, and state dicts."""

import threading

import numpy as np
from sklearn.utils import check_random_state

from fastrnn.backends import available, backend, resolved
from fastrnn.utils.arrays import weights_of
from fastrnn.utils.checks import shown


class Layer:
    """Base class of the layers: owns parameters and gradients, and calls the kernels of its device.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default="float32"
        Type of the parameters and of everything that the layer computes.
    random_state : int, RandomState instance or None, default=None
        Source of the initial parameters and of dropout masks.
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where parameters live and passes run, see `fastrnn.backends`.
    precision : {"highest", "high", "medium"}, default="highest"
        How a GPU multiplies float32 matrices, as in ``torch.set_float32_matmul_precision``: in float32, in TF32 (10
        bits of mantissa), or in bfloat16 (7 bits). Sums are float32. The CPU always multiplies in float32.

    Attributes
    ----------
    parameters : dict of str to array of the device
        The parameters under torch's names, with torch's shapes. The arrays stay the same objects for the layer's life,
        unless `make_writable` must copy them.
    grads : dict of str to array of the device
        The gradients, with the same keys and shapes; `backward` adds to them.
    backend : module
        The kernels and array operations of the device.
    """

    _dropout_rates = ()  # names of attributes that are probabilities of dropout
    _noise = None  # the `Noise` of a layer that draws masks
    _members = ()  # pairs: a layer that owns shared arrays, and a dict of their names there to those here

    def __init__(self, *, dtype="float32", random_state=None, n_jobs=None, device="cpu", precision="highest"):
        if dtype not in ("float32", "float64", np.float32, np.float64):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {shown(dtype)}.")
        self.device, self.precision = resolved(device), precision
        self.backend = backend(self.device, precision)
        self.backend.effective_n_jobs(n_jobs)  # raises for an invalid number of threads
        self.dtype = np.dtype(dtype)
        self.random_state = check_random_state(random_state)
        self.n_jobs = n_jobs
        self.parameters = {}
        self.grads = {}
        self._kept = None  # the thread of the last forward pass in training, and what that kept
        self._trainer = {}  # the thread that is training the layer, if any

    def _options(self):
        """Return the options of a layer that is a part of this one."""
        return {"dtype": self.dtype, "random_state": self.random_state, "n_jobs": self.n_jobs, "device": self.device,
                "precision": self.precision}  # fmt: skip

    def __getstate__(self):
        state = {**vars(self), "_kept": None, "_trainer": {}}
        del state["backend"]  # a module
        return state

    def _add_parameter(self, name, value):
        """Register a parameter and its gradient."""
        self.parameters[name] = self.backend.asarray(value, self.dtype)
        # Zeroed memory is not touched before it is used: gradients of words that never occur cost none.
        self.grads[name] = self.backend.zeros(self.parameters[name].shape, self.dtype)

    def _add_part(self, layer, names):
        """Share arrays of another layer; `names` maps their names there to those here."""
        self._members = [*self._members, (layer, names)]
        self._share()

    def _share(self):
        """Take the shared arrays from the layers that own them."""
        for layer, names in self._members:
            for attribute in ("parameters", "grads"):
                arrays = getattr(layer, attribute)
                getattr(self, attribute).update({new: arrays[name] for name, new in names.items()})

    def __setstate__(self, state):
        device = available(state["device"])
        vars(self).update(state, device=device, backend=backend(device, state["precision"]))
        self._share()  # joblib unpickles a shared array as two

    def parts(self):
        """Return the layers that this layer consists of."""
        values = [part for value in vars(self).values() for part in (value if isinstance(value, list) else [value])]
        return [value for value in values if isinstance(value, Layer)]

    def place(self, device, precision):
        """Move the layer to a device, in place; what a forward pass kept for `backward` is lost.

        Parameters
        ----------
        device : {"cpu", "cuda", "auto"}
        precision : {"highest", "high", "medium"}

        Examples
        --------
        >>> from fastrnn.layers import Dense
        >>> layer = Dense(2, 3)
        >>> layer.place("cpu", "high")
        >>> layer.device, layer.precision
        ('cpu', 'high')
        """
        device = resolved(device)
        moves = device != self.device
        if moves or precision != self.precision:
            before, ops = self.backend, backend(device, precision)
            self.device, self.precision, self.backend, self._kept = device, precision, ops, None
            for arrays in (self.parameters, self.grads):
                arrays.update({name: ops.asarray(before.to_numpy(array)) for name, array in arrays.items()})
        for layer in [*self.parts(), *(layer for layer, _ in self._members)]:
            layer.place(device, precision)
        self._share()
        if moves:
            self.make_writable()  # the CPU reads arrays of other devices as read-only ones

    def make_writable(self):
        """Copy the read-only arrays, those of a memory-mapped model, so that the layer can be trained.

        Examples
        --------
        >>> from fastrnn.layers import Dense
        >>> layer = Dense(2, 3)
        >>> layer.parameters["weight"].flags.writeable = False
        >>> layer.make_writable()
        >>> layer.parameters["weight"].flags.writeable
        True
        """
        for layer, _ in self._members:
            layer.make_writable()
        for arrays in (self.parameters, self.grads):
            read_only = [name for name, array in arrays.items() if not self.backend.is_writable(array)]
            arrays.update({name: self.backend.copy(arrays[name]) for name in read_only})
        self._share()

    def _uniform(self, bound, shape):
        """Return numbers drawn uniformly from ±`bound`."""
        return self.random_state.uniform(-bound, bound, shape)

    def state_dict(self):
        """Return a copy of the parameters: dict of name to ndarray, names and shapes as torch's."""
        return {name: np.array(self.backend.to_numpy(value)) for name, value in self.parameters.items()}

    def load_state_dict(self, state_dict):
        """Copy parameters in.

        Parameters
        ----------
        state_dict : mapping of str to (array-like or tensor), or module
            One array for each parameter, of its shape; or a layer or a module of torch that has them.

        Raises
        ------
        ValueError
            A parameter is missing, unknown, of another shape, or no array of numbers; nothing is changed then.
        """
        state_dict = weights_of(state_dict)
        missing, unknown = self.parameters.keys() - state_dict.keys(), state_dict.keys() - self.parameters.keys()
        if missing or unknown:
            raise ValueError(
                f"state_dict must have the keys {sorted(self.parameters)}: "
                f"missing {sorted(missing)}, unknown {sorted(unknown)}."
            )
        values = {name: np.asarray(state_dict[name], self.dtype) for name in self.parameters}
        for name, value in values.items():
            if value.shape != self.parameters[name].shape:
                expected = self.parameters[name].shape
                raise ValueError(f"state_dict[{name!r}] must have shape {expected}, got {value.shape}.")
        self.make_writable()
        for name, value in values.items():
            self.backend.assign(self.parameters[name], value)

    def sparse_rows(self):
        """Return the rows that are not zero of each gradient that has few of them: dict of name to int64 array."""
        return {}

    def remove_noise(self):
        """Set all probabilities of dropout to 0, for gradients without noise."""
        for name in self._dropout_rates:
            setattr(self, name, 0.0)

    def training_state(self):
        """Return the state of training besides the parameters, such as that of random draws: a dict of plain values."""
        return {} if self._noise is None else self._noise.state()

    def set_training_state(self, state):
        """Restore the state that `training_state` returned."""
        if self._noise is not None:
            self._noise.set_state(state)

    def _begin_training(self, method):
        """Reserve the layer for this thread until `_end_training`; raise if another thread is training it.

        Estimators use `fastrnn.utils.use`, which also counts readers and would slow down small passes.
        """
        thread = threading.get_ident()
        if self._trainer.setdefault("thread", thread) != thread:  # this tests and sets in one step
            raise RuntimeError(
                f"{type(self).__name__}.{method} was called while another thread trains the same layer: train a copy "
                "in each thread."
            )

    def _end_training(self):
        """Let other threads train the layer."""
        self._trainer.clear()

    def _keep(self, *what):
        """Keep what `backward` needs. Only training calls this: a prediction changes nothing in a layer."""
        self._kept = threading.get_ident(), what

    def _recall(self):
        """Return what was kept for `backward`."""
        if self._kept is None:
            raise RuntimeError("backward needs a forward pass with training=True before it.")
        thread, what = self._kept
        if thread != threading.get_ident():
            raise RuntimeError(
                f"{type(self).__name__}.backward was called in another thread than the forward pass before it: train a "
                "copy of the layer in each thread."
            )
        return what

    def _forget(self):
        """Release what was kept: `backward` has used it up."""
        self._kept = None

    def forget(self):
        """Release what the last forward pass in training has kept; there is no `backward` after this."""
        self._forget()
        for layer, _ in self._members:
            layer.forget()

    def zero_grad(self):
        """Set all gradients to zero; read-only arrays are copied first, see `make_writable`."""
        try:
            for gradient in self.grads.values():
                self.backend.fill(gradient, 0)
        except ValueError:  # an array is read-only
            self.make_writable()
            self.zero_grad()
