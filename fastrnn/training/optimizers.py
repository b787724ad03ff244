"""Optimizers change parameters by their gradients. Definitions and defaults are torch's.

An optimizer keeps its state under the names of the parameters. Sparse gradients, those of embeddings, are updated
lazily: only the rows that have a gradient are touched, in the parameter and in the state, so that moments of other rows
do not decay meanwhile (as in ``torch.optim.SparseAdam``).
"""

import numbers

import numpy as np

from fastrnn.backends import available, backend, resolved
from fastrnn.training.arrays import distinct
from fastrnn.utils.checks import check_choice, check_fraction, shown


class Optimizer:
    """Base class of the optimizers.

    Parameters
    ----------
    learning_rate : float
        May be changed between steps, through the attribute of this name.
    weight_decay : float, default=0.0
        Strength of the L2 penalty: `weight_decay` times the parameter is added to its gradient.
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough.
    device : str, default="cpu"
        Where parameters, gradients and state are, see `fastrnn.backends`.

    Attributes
    ----------
    n_steps : int
        Number of steps so far.
    """

    slots = ()  # names of the arrays of state that every parameter has

    def __init__(self, learning_rate, *, weight_decay=0.0, n_jobs=None, device="cpu"):
        self.learning_rate = _at_least_zero("learning_rate", learning_rate)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        backend(device).effective_n_jobs(n_jobs)  # raises for an invalid number of threads
        self.n_jobs = n_jobs
        self.device = resolved(device)
        self.n_steps = 0
        self._state = {}

    def __setstate__(self, state):
        vars(self).update(state, device=available(state["device"]))

    def place(self, device):
        """Move the state to a device."""
        state = self.state_dict()
        self.device = device
        self.load_state_dict(state)

    @property
    def backend(self):
        """The module with the updates and array operations of the device."""
        return backend(self.device)

    def step(self, parameters, grads, rows=None):
        """Change all parameters in place.

        Parameters
        ----------
        parameters : dict of str to array
            C-contiguous; an array under two names (tied weights) is updated once.
        grads : dict of str to array
            With the keys, shapes and types of `parameters`.
        rows : dict of str to (ndarray of int or None), default=None
            For sparse gradients the sorted rows that are not zero; None or no entry means all.

        Raises
        ------
        ValueError
            The keys or shapes do not fit, or a parameter is read-only or on another device; nothing is changed then.
        """
        ops, rows = self.backend, rows or {}
        for name, weight in parameters.items():
            if not isinstance(weight, type(ops.asarray(weight))):
                raise ValueError(
                    f"parameters[{name!r}] must be an array of the optimizer's device, {self.device!r}, got "
                    f"{type(weight).__module__}.{type(weight).__qualname__}: make it with the device of the layer."
                )
            if not ops.is_writable(weight):
                raise ValueError(f"parameters[{name!r}] cannot be written to: call make_writable() of its layer first.")
            if name not in grads or grads[name].shape != weight.shape or grads[name].dtype != weight.dtype:
                raise ValueError(f"grads[{name!r}] must be an array of shape {weight.shape} and type {weight.dtype}.")
        items = distinct(parameters)
        states = [self._slots_of(name, weight, ops) for name, weight in items]  # may take memory
        self.n_steps += 1
        if items:
            slots = [list(slot) for slot in zip(*states, strict=True)]
            grads, rows = ([arrays.get(name) for name, _ in items] for arrays in (grads, rows))
            self._update(ops, [weight for _, weight in items], grads, slots, rows, self._settings(ops))

    def state_dict(self):
        """Return a copy of the state: a flat dict of ndarrays.

        Its keys are ``"n_steps"``, ``"learning_rate"``, and ``"<slot>/<parameter>"`` for each array of state.
        """
        state = {
            f"{slot}/{name}": np.array(self.backend.to_numpy(array))
            for name, slots in self._state.items()
            for slot, array in slots.items()
        }
        return {"n_steps": np.array(self.n_steps), "learning_rate": np.array(self.learning_rate), **state}

    def load_state_dict(self, state_dict):
        """Take over the state that `state_dict` of an optimizer of the same class returned.

        Parameters
        ----------
        state_dict : mapping of str to array-like

        Raises
        ------
        ValueError
            A key is missing or unknown; nothing is changed then.
        """
        state = {}
        for key in state_dict.keys() - {"n_steps", "learning_rate"}:
            slot, _, name = key.partition("/")
            if slot not in self.slots:
                raise ValueError(
                    f"state_dict has the key {key!r}, but the slots of {type(self).__name__} are {self.slots}."
                )
            state.setdefault(name, {})[slot] = self.backend.asarray(np.array(state_dict[key]))
        for name, slots in state.items():
            if slots.keys() != set(self.slots):
                raise ValueError(f"state_dict must have all slots {self.slots} of {name!r}, got {sorted(slots)}.")
        for key in ("n_steps", "learning_rate"):
            if key not in state_dict:
                raise ValueError(f"state_dict must have the key {key!r}.")
        self.n_steps = int(np.asarray(state_dict["n_steps"]).item())
        self.learning_rate = float(np.asarray(state_dict["learning_rate"]).item())
        self._state = state

    def reset(self):
        """Forget all steps."""
        self.n_steps, self._state = 0, {}

    def _slots_of(self, name, weight, ops):
        """Return the arrays of state of a parameter, zeros at its first step."""
        if name not in self._state:
            # Zeroed memory takes no pages before it is used: the state of rare words costs nothing.
            self._state[name] = {slot: ops.zeros(weight.shape, weight.dtype) for slot in self.slots}
        slots = self._state[name]
        for slot, array in slots.items():
            if not ops.is_writable(array):  # of a model that is mapped into memory
                slots[slot] = ops.copy(array)
        return [slots[slot] for slot in self.slots]

    def _settings(self, ops):
        """Return the hyperparameters of this step, for the update of the backend."""
        raise NotImplementedError

    def _update(self, ops, weights, grads, slots, rows, settings):
        """Update parameters, or some rows of them, and their arrays of state, on the backend; all are lists."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    Parameters
    ----------
    learning_rate : float, default=1e-3
    momentum : float, default=0.0
        Factor by which the velocity is kept from step to step.
    nesterov : bool, default=False
        Look ahead along the velocity.
    weight_decay, n_jobs, device
        As in `Optimizer`.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.training.optimizers import SGD
    >>> parameters, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([0.5, 0.0])}
    >>> SGD(0.1).step(parameters, grads)
    >>> parameters["w"]
    array([0.95, 2.  ])
    """

    def __init__(
        self, learning_rate=1e-3, *, momentum=0.0, nesterov=False, weight_decay=0.0, n_jobs=None, device="cpu"
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs, device=device)
        self.momentum = _at_least_zero("momentum", momentum)
        self.nesterov = bool(nesterov)
        if self.nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.")
        self.slots = ("velocity",) if momentum else ()

    def _settings(self, ops):
        return ops.SGDSettings(float(self.learning_rate), self.momentum, self.nesterov, self.weight_decay)

    def _update(self, ops, weights, grads, slots, rows, settings):
        ops.sgd_update(weights, grads, slots[0] if slots else None, rows, settings, self.n_jobs)


class Adam(Optimizer):
    """Adam: steps by the mean of the gradients, divided by the root of the mean of their squares.

    Parameters
    ----------
    learning_rate : float, default=1e-3
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the running means of the gradient and of its square.
    epsilon : float, default=1e-8
        Added to the divisor.
    weight_decay, n_jobs, device
        As in `Optimizer`.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.training.optimizers import Adam
    >>> parameters, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([0.5, 0.0])}
    >>> Adam(0.1).step(parameters, grads)
    >>> parameters["w"].round(6)
    array([0.9, 2. ])
    """

    slots = ("mean", "square")

    def __init__(self, learning_rate=1e-3, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0, n_jobs=None,
                 device="cpu"):  # fmt: skip
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs, device=device)
        check_fraction("beta_1", beta_1)
        check_fraction("beta_2", beta_2)
        self.beta_1, self.beta_2 = float(beta_1), float(beta_2)
        self.epsilon = _at_least_zero("epsilon", epsilon)

    def _settings(self, ops):
        return ops.AdamSettings(
            rate=self.learning_rate / (1 - self.beta_1**self.n_steps),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
            shrink=1.0,
            root=(1 - self.beta_2**self.n_steps) ** -0.5,
        )

    def _update(self, ops, weights, grads, slots, rows, settings):
        ops.adam_update(weights, grads, *slots, rows, settings, self.n_jobs)


class AdamW(Adam):
    """Adam with a decay of the weights that does not pass through its running means.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, n_jobs, device
        As in `Adam`.
    weight_decay : float, default=1e-2
        Each step first multiplies a parameter by 1 - learning_rate · weight_decay.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    def __init__(self, learning_rate=1e-3, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=1e-2, n_jobs=None,
                 device="cpu"):  # fmt: skip
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=weight_decay,
                         n_jobs=n_jobs, device=device)  # fmt: skip

    def _settings(self, ops):
        shrink = 1 - float(self.learning_rate) * self.weight_decay
        return super()._settings(ops)._replace(weight_decay=0.0, shrink=shrink)


class Adagrad(Optimizer):
    """Adagrad: gradients divided by the root of the sum of all their squares so far.

    Parameters
    ----------
    learning_rate : float, default=1e-2
    epsilon : float, default=1e-10
        Added to the divisor.
    weight_decay, n_jobs, device
        As in `Optimizer`.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12,
    2011.
    """

    slots = ("square",)

    def __init__(self, learning_rate=1e-2, *, epsilon=1e-10, weight_decay=0.0, n_jobs=None, device="cpu"):
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs, device=device)
        self.epsilon = _at_least_zero("epsilon", epsilon)

    def _settings(self, ops):
        return ops.AdagradSettings(float(self.learning_rate), self.epsilon, self.weight_decay)

    def _update(self, ops, weights, grads, slots, rows, settings):
        ops.adagrad_update(weights, grads, *slots, rows, settings, self.n_jobs)


class RMSprop(Optimizer):
    """RMSprop: gradients divided by the root of the running mean of their squares.

    Parameters
    ----------
    learning_rate : float, default=1e-2
    rho : float, default=0.99
        Decay of the running mean (torch calls it alpha).
    epsilon : float, default=1e-8
        Added to the divisor.
    momentum : float, default=0.0
        Factor by which the velocity is kept from step to step.
    weight_decay, n_jobs, device
        As in `Optimizer`.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.
    """

    def __init__(self, learning_rate=1e-2, *, rho=0.99, epsilon=1e-8, momentum=0.0, weight_decay=0.0, n_jobs=None,
                 device="cpu"):  # fmt: skip
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs, device=device)
        check_fraction("rho", rho)
        self.rho = float(rho)
        self.epsilon = _at_least_zero("epsilon", epsilon)
        self.momentum = _at_least_zero("momentum", momentum)
        self.slots = ("square", "velocity") if momentum else ("square",)

    def _settings(self, ops):
        return ops.RMSpropSettings(float(self.learning_rate), self.rho, self.epsilon, self.momentum, self.weight_decay)

    def _update(self, ops, weights, grads, slots, rows, settings):
        velocities = slots[1] if len(slots) > 1 else None
        ops.rmsprop_update(weights, grads, slots[0], velocities, rows, settings, self.n_jobs)


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "adagrad": Adagrad, "rmsprop": RMSprop}


def make_optimizer(name, **options):
    """Return a new optimizer by its name.

    Parameters
    ----------
    name : {"sgd", "adam", "adamw", "adagrad", "rmsprop"}
    **options
        Parameters of its class.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        There is no optimizer of this name.

    Examples
    --------
    >>> from fastrnn.training.optimizers import make_optimizer
    >>> make_optimizer("adam", learning_rate=0.01).learning_rate
    0.01
    """
    check_choice("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name](**options)


def _at_least_zero(name, value):
    if not isinstance(value, numbers.Real) or not value >= 0:
        raise ValueError(f"{name} must be at least 0, got {shown(value)}.")
    return float(value)
