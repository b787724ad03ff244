"""Optimizers: rules that change parameters by their gradients. Definitions and defaults are torch's.

An optimizer keeps its state under the names of the parameters. Sparse gradients, those of embeddings, are updated
lazily: only the rows that have a gradient are touched, in the parameter and in the state, so that moments of other rows
do not decay meanwhile (as in ``torch.optim.SparseAdam``).
"""

import numbers

import numpy as np

from fastrnn.kernels.clipping import distinct, row_blocks
from fastrnn.kernels.optimizers import adagrad_update, adam_update, average_update, rmsprop_update, sgd_update
from fastrnn.kernels.threads import effective_n_jobs, run_kernel, split, worth
from fastrnn.utils.checks import check_choice, check_positive_integer, shown

_COST = 40  # of the update of an element, in floating-point operations: it mostly waits for memory


class Optimizer:
    """Base class of the optimizers.

    Parameters
    ----------
    learning_rate : float
        May be changed between steps, through the attribute of this name.
    weight_decay : float, default=0.0
        Strength of the L2 penalty: `weight_decay` times the parameter is added to its gradient.
    n_jobs : int or None, default=None
        Threads; None takes all cores, as far as the work is worth it.

    Attributes
    ----------
    n_steps : int
        Number of steps so far.
    """

    slots = ()  # names of the arrays of state that every parameter has

    def __init__(self, learning_rate, *, weight_decay=0.0, n_jobs=None):
        self.learning_rate = _at_least_zero("learning_rate", learning_rate)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        effective_n_jobs(n_jobs)  # refuses what is no number of threads
        self.n_jobs = n_jobs
        self.n_steps = 0
        self._state = {}

    def step(self, parameters, grads, rows=None):
        """Change all parameters in place.

        Parameters
        ----------
        parameters : dict of str to ndarray
            C-contiguous; an array that stands under two names (tied weights) is updated once.
        grads : dict of str to ndarray
            With the keys, shapes and types of `parameters`.
        rows : dict of str to (ndarray of int or None), default=None
            For sparse gradients the sorted rows that are not zero; None or no entry stands for all.

        Raises
        ------
        ValueError
            The keys or shapes do not fit, or a parameter is read-only; nothing is changed then.
        """
        rows = rows or {}
        for name, weight in parameters.items():
            if not weight.flags.writeable:
                raise ValueError(f"parameters[{name!r}] cannot be written to: call make_writable() of its layer first.")
            if name not in grads or grads[name].shape != weight.shape or grads[name].dtype != weight.dtype:
                raise ValueError(f"grads[{name!r}] must be an array of shape {weight.shape} and type {weight.dtype}.")
        self.n_steps += 1
        for name, weight in distinct(parameters):
            flat, used, size = row_blocks(weight, rows.get(name))
            slots = [slot.reshape(-1) for slot in self._slots_of(name, weight)]
            arrays = [flat, grads[name].reshape(-1), *slots]
            run_kernel(self._update, self._pieces(arrays, used, size, rows.get(name) is None))

    def state_dict(self):
        """Return a copy of the state: a flat dict of arrays, ``"<slot>/<parameter>"`` beside what else changes."""
        state = {f"{slot}/{name}": a.copy() for name, slots in self._state.items() for slot, a in slots.items()}
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
            state.setdefault(name, {})[slot] = np.array(state_dict[key])
        for name, slots in state.items():
            if slots.keys() != set(self.slots):
                raise ValueError(f"state_dict must have all slots {self.slots} of {name!r}, got {sorted(slots)}.")
        for key in ("n_steps", "learning_rate"):
            if key not in state_dict:
                raise ValueError(f"state_dict must have the key {key!r}.")
        self.n_steps = int(np.asarray(state_dict["n_steps"]).item())
        self.learning_rate = float(np.asarray(state_dict["learning_rate"]).item())
        self._state = state

    def _slots_of(self, name, weight):
        """Return the arrays of state of a parameter, zeros at its first step."""
        if name not in self._state:
            # As the gradients of a layer: rows that are never used take no memory.
            self._state[name] = {slot: np.zeros(weight.shape, weight.dtype) for slot in self.slots}
        slots = self._state[name]
        for slot, array in slots.items():
            if not array.flags.writeable:  # of a model that is mapped into memory
                slots[slot] = np.array(array)
        return [slots[slot] for slot in self.slots]

    def reset(self):
        """Forget all steps."""
        self.n_steps, self._state = 0, {}

    def _pieces(self, arrays, used, size, dense):
        """Cut an update into calls of `_update` for several threads: (arrays, rows, size)."""
        threads = worth(self.n_jobs, _COST * used.size * size)
        if dense:
            return [([a[begin:end] for a in arrays], used, end - begin) for begin, end in split(size, threads, 64)]
        return [(arrays, used[begin:end], size) for begin, end in split(used.size, threads)]

    def _update(self, board, party, arrays, rows, size):
        """Update rows of a parameter: `arrays` are the parameter, its gradient and its slots, all flat."""
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
    weight_decay, n_jobs
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

    def __init__(self, learning_rate=1e-3, *, momentum=0.0, nesterov=False, weight_decay=0.0, n_jobs=None):
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs)
        self.momentum = _at_least_zero("momentum", momentum)
        self.nesterov = bool(nesterov)
        if self.nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.")
        self.slots = ("velocity",) if momentum else ()

    def _update(self, board, party, arrays, rows, size):
        weight, grad, *velocity = arrays
        sgd_update(board, party, weight, grad, velocity[0] if velocity else grad, rows, size, self.learning_rate,
                   self.momentum, self.nesterov, self.weight_decay)  # fmt: skip


class Adam(Optimizer):
    """Adam: steps by the mean of the gradients, divided by the root of the mean of their squares.

    Parameters
    ----------
    learning_rate : float, default=1e-3
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the running means of the gradient and of its square.
    epsilon : float, default=1e-8
        Added to the divisor.
    weight_decay, n_jobs
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

    def __init__(self, learning_rate=1e-3, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0, n_jobs=None):
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs)
        self.beta_1 = _fraction("beta_1", beta_1)
        self.beta_2 = _fraction("beta_2", beta_2)
        self.epsilon = _at_least_zero("epsilon", epsilon)

    def _update(self, board, party, arrays, rows, size):
        self._adam(board, party, arrays, rows, size, self.weight_decay, 1.0)

    def _adam(self, board, party, arrays, rows, size, weight_decay, shrink):
        rate = self.learning_rate / (1 - self.beta_1**self.n_steps)
        root = (1 - self.beta_2**self.n_steps) ** -0.5
        adam_update(board, party, *arrays, rows, size, rate, self.beta_1, self.beta_2, self.epsilon, weight_decay,
                    shrink, root)  # fmt: skip


class AdamW(Adam):
    """Adam with a decay of the weights that does not pass through its running means.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, n_jobs
        As in `Adam`.
    weight_decay : float, default=1e-2
        Each step first multiplies a parameter by 1 - learning_rate · weight_decay.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    def __init__(self, learning_rate=1e-3, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=1e-2, n_jobs=None):
        super().__init__(
            learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=weight_decay, n_jobs=n_jobs
        )

    def _update(self, board, party, arrays, rows, size):
        self._adam(board, party, arrays, rows, size, 0.0, 1 - self.learning_rate * self.weight_decay)


class Adagrad(Optimizer):
    """Adagrad: gradients divided by the root of the sum of all their squares so far.

    Parameters
    ----------
    learning_rate : float, default=1e-2
    epsilon : float, default=1e-10
        Added to the divisor.
    weight_decay, n_jobs
        As in `Optimizer`.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12,
    2011.
    """

    slots = ("square",)

    def __init__(self, learning_rate=1e-2, *, epsilon=1e-10, weight_decay=0.0, n_jobs=None):
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs)
        self.epsilon = _at_least_zero("epsilon", epsilon)

    def _update(self, board, party, arrays, rows, size):
        adagrad_update(board, party, *arrays, rows, size, self.learning_rate, self.epsilon, self.weight_decay)


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
    weight_decay, n_jobs
        As in `Optimizer`.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.
    """

    def __init__(self, learning_rate=1e-2, *, rho=0.99, epsilon=1e-8, momentum=0.0, weight_decay=0.0, n_jobs=None):
        super().__init__(learning_rate, weight_decay=weight_decay, n_jobs=n_jobs)
        self.rho = _fraction("rho", rho)
        self.epsilon = _at_least_zero("epsilon", epsilon)
        self.momentum = _at_least_zero("momentum", momentum)
        self.slots = ("square", "velocity") if momentum else ("square",)

    def _update(self, board, party, arrays, rows, size):
        weight, grad, square, *velocity = arrays
        rmsprop_update(board, party, weight, grad, square, velocity[0] if velocity else grad, rows, size,
                       self.learning_rate, self.rho, self.epsilon, self.momentum, self.weight_decay)  # fmt: skip


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


class WeightAverage:
    """Mean of the weights of many steps, which often predicts better than the last ones.

    Parameters
    ----------
    kind : {"ema", "asgd"}
        "ema": an exponential moving average from the first step on (at first the plain mean). "asgd": the plain mean
        (averaged SGD, Polyak and Juditsky 1992), begun when the validation has stalled: when a score is below the best
        one of those more than `patience` epochs before (NT-ASGD, Merity et al. 2017).
    decay : float, default=0.999
        Factor of the old average in each step, for "ema".
    patience : int, default=5
        For "asgd".
    n_jobs : int or None, default=None

    Attributes
    ----------
    running : bool
        Whether steps are being averaged.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.training.optimizers import WeightAverage
    >>> average, weights = WeightAverage("ema", decay=0.9), {"w": np.zeros(2)}
    >>> for step in range(4):
    ...     weights["w"] += 1
    ...     average.update(weights)
    >>> average.arrays["w"]
    array([2.5, 2.5])
    """

    def __init__(self, kind, decay=0.999, patience=5, n_jobs=None):
        check_choice("averaging", kind, (None, "ema", "asgd"))
        check_positive_integer("averaging_patience", patience)
        self.decay = _fraction("averaging_decay", decay)
        self.kind, self.patience, self.n_jobs = kind, patience, n_jobs
        self.running, self.count, self.arrays = kind == "ema", 0, {}

    def begin_if_stalled(self, scores, score):
        """Begin if a score (higher is better) has stalled, given those of the epochs before; return whether."""
        before = scores[: -self.patience]
        self.running = bool(before) and score < max(before)
        return self.running

    def update(self, parameters):
        """Count the weights after a step in."""
        if not self.running:
            return
        self.count += 1
        share = max(1 / self.count, 1 - self.decay if self.kind == "ema" else 0.0)
        for name, weight in distinct(parameters):
            if name not in self.arrays:
                self.arrays[name] = weight.copy()
            flat, mean = weight.reshape(-1), self.arrays[name].reshape(-1)
            pieces = split(flat.size, worth(self.n_jobs, _COST * flat.size), 64)
            run_kernel(average_update, [(mean[begin:end], flat[begin:end], share) for begin, end in pieces])

    def exchange(self, parameters):
        """Put the average in the place of the weights and the weights in that of the average, if it has begun."""
        for name, mean in self.arrays.items():
            weight = parameters[name].copy()
            parameters[name][...] = mean
            mean[...] = weight

    def state(self):
        """Return plain values and arrays for `set_state`."""
        return {"running": self.running, "count": self.count}, self.arrays

    def set_state(self, content, arrays):
        """Take back what `state` returned."""
        self.running, self.count = content["running"], content["count"]
        self.arrays = {name: array.copy() for name, array in arrays.items()}


def _at_least_zero(name, value):
    if not isinstance(value, numbers.Real) or not value >= 0:
        raise ValueError(f"{name} must be at least 0, got {shown(value)}.")
    return value


def _fraction(name, value):
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {shown(value)}.")
    return value
