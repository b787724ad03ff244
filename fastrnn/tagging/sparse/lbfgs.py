"""L-BFGS, and OWL-QN for a penalty on absolute values; vector operations are compiled and threaded.

All inner products of an iteration are computed in one pass over the vectors, and the direction in another: the two-loop
recursion [1]_ runs on the coefficients of the stored vectors, which their Gram matrix suffices for [2]_. Products are
sums over blocks of fixed size: any number of threads gives the same bits.

References
----------
.. [1] Jorge Nocedal, "Updating quasi-Newton matrices with limited storage", 1980.
.. [2] Weizhu Chen, Zhenghao Wang and Jingren Zhou, "Large-scale L-BFGS using MapReduce", NIPS 2014.
.. [3] Galen Andrew and Jianfeng Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.
.. [4] Jorge Nocedal and Stephen J. Wright, "Numerical optimization", 2nd edition, 2006: algorithms 3.5 and 3.6.
"""

import collections
import typing

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.threads import effective_n_jobs, run, split
from fastrnn.simd import lanes, load, store, sum_lanes, zero

_BLOCK = 1 << 10  # elements of all vectors that stay in the first-level cache
_MOST_EVALUATIONS = 30  # of a line search
_DECREASE, _CURVATURE = 1e-4, 0.9  # Wolfe's conditions


class Stop(typing.NamedTuple):
    """When a minimization stops.

    It stops where the norm of the gradient is at most `gradient_tol` times that of the parameters (or times 1), or
    where the value has decreased by less than its share `tol` over `period` iterations.
    """

    max_iter: int = 1000
    tol: float = 1e-5
    period: int = 10
    gradient_tol: float = 1e-5


class Iterate(typing.NamedTuple):
    """The point that an iteration of `minimize` has reached."""

    parameters: np.ndarray  # float64 (P,): the next iteration does not change it
    value: float
    n_evaluations: int
    has_converged: bool


class History:
    """The last steps of the parameters and of the gradient.

    Parameters
    ----------
    size : int
        Parameters.
    memory : int
        Steps that are kept.
    n_jobs : int or None
    """

    def __init__(self, size, memory, n_jobs):
        self.memory, self.n_steps = memory, 0
        self.n_blocks = max(1, -(-size // _BLOCK))
        self.vectors = np.zeros(
            (2 * memory + 1, self.n_blocks * _BLOCK)
        )  # steps, changes of the gradient, the gradient
        self.gram = np.zeros((2 * memory + 1, 2 * memory + 1))
        self.size = size
        self._partial = np.empty((self.n_blocks, 3, 2 * memory + 1))
        self._ranges = split(self.n_blocks, min(effective_n_jobs(n_jobs), 1 + size // (16 * _BLOCK)))

    def update(self, gradient, step=None, change=None):
        """Set the gradient (P,), and keep the last step (P,) and change of the gradient (P,).

        Where the curvature along a step is not positive, all steps are forgotten.
        """
        slot, rows = self.n_steps % self.memory, [2 * self.memory]
        self.vectors[-1, : self.size] = gradient
        if step is not None:
            rows += [slot, self.memory + slot]
            self.vectors[slot, : self.size] = step
            self.vectors[self.memory + slot, : self.size] = change
        run(_inner_products, [(self._partial, self.vectors, np.array(rows), *blocks) for blocks in self._ranges])
        self.gram[rows] = self._partial[:, : len(rows)].sum(axis=0)
        self.gram[:, rows] = self.gram[rows].T
        curvature, square = self.gram[self.memory + slot, [slot, self.memory + slot]]
        if step is not None:
            self.n_steps = self.n_steps + 1 if curvature > 1e-16 * square else 0

    def direction(self):
        """Return minus the product of the inverse Hessian's approximation with the gradient, float64 (P,)."""
        last, memory = 2 * self.memory, self.memory
        gram, coefficients = self.gram, np.zeros(last + 1)
        coefficients[last] = -1.0
        kept = [k % memory for k in range(max(0, self.n_steps - memory), self.n_steps)]
        shares = {}
        for k in reversed(kept):
            shares[k] = gram[k] @ coefficients / gram[k, memory + k]
            coefficients[memory + k] -= shares[k]
        if kept:
            k = kept[-1]
            coefficients *= gram[k, memory + k] / gram[memory + k, memory + k]
        for k in kept:
            coefficients[k] += shares[k] - gram[memory + k] @ coefficients / gram[k, memory + k]
        result = np.empty(self.n_blocks * _BLOCK)
        run(_combine, [(result, self.vectors, coefficients, *blocks) for blocks in self._ranges])
        return result[: self.size]


@kernel
def _inner_products(partial, vectors, rows, begin, end):
    """Write the inner products of some rows with all rows, for some blocks."""
    size, step = vectors.shape[1], lanes(vectors)
    for block in range(begin, end):
        first = block * _BLOCK
        for i in range(len(rows)):
            left = rows[i] * size
            for j in range(len(vectors)):
                right = j * size
                one = two = zero(load(vectors, left))
                for k in range(first, first + _BLOCK, 2 * step):
                    one = one + load(vectors, left + k) * load(vectors, right + k)
                    two = two + load(vectors, left + k + step) * load(vectors, right + k + step)
                partial[block, i, j] = sum_lanes(one + two)


@kernel
def _combine(result, vectors, coefficients, begin, end):
    """Write a linear combination of the rows, for some blocks."""
    size, step = vectors.shape[1], lanes(vectors)
    for block in range(begin, end):
        for k in range(block * _BLOCK, (block + 1) * _BLOCK, step):
            total = zero(load(vectors, k))
            for i in range(len(vectors)):
                total = total + coefficients[i] * load(vectors, i * size + k)
            store(result, k, total)


def minimize(function, start, l1, stop, n_jobs=None):
    """Minimize a function, and yield each iterate.

    Parameters
    ----------
    function : callable
        ``function(parameters, gradient)`` writes the gradient (P,) and returns the value.
    start : float64 array (P,)
    l1 : float64 array (P,) or None
        Factors of the absolute values of the parameters, which are added to the function.
    stop : Stop
    n_jobs : int or None

    Yields
    ------
    Iterate

    Raises
    ------
    ValueError
        The gradient is infinite or NaN at first.
    """
    problem = _Smooth(function) if l1 is None else _Sparse(function, l1)
    history = History(len(start), problem.memory, n_jobs)
    point = problem.evaluate(start)
    values = collections.deque([point.value], stop.period)
    if not np.isfinite(norm(problem.steepest(point))):
        raise ValueError("The loss has no finite gradient: scale the weights of attributes in X down.")
    has_converged = problem.is_flat(point, stop.gradient_tol)
    yield Iterate(point.parameters, point.value, problem.n_evaluations, has_converged)
    history.update(problem.steepest(point))
    for iteration in range(0 if has_converged else stop.max_iter):
        direction = problem.project(point, history.direction())
        step = 1.0 if iteration else 1.0 / norm(direction)
        following = problem.search(point, direction, step)
        if following is None and history.n_steps:  # rounding errors prevail: begin again from the gradient
            history.n_steps = 0
            direction = problem.project(point, history.direction())
            following = problem.search(point, direction, 1.0 / norm(direction))
        if following is None:
            yield Iterate(point.parameters, point.value, problem.n_evaluations, True)
            return
        steepest = problem.steepest(following)
        history.update(steepest, following.parameters - point.parameters, following.gradient - point.gradient)
        point = following
        is_level = len(values) == stop.period and values[0] - point.value < stop.tol * abs(point.value)
        has_converged = problem.is_flat(point, stop.gradient_tol) or is_level
        values.append(point.value)
        yield Iterate(point.parameters, point.value, problem.n_evaluations, has_converged)
        if has_converged:
            return


class _Point(typing.NamedTuple):
    parameters: np.ndarray
    value: float
    gradient: np.ndarray  # of the function, without the penalty on absolute values


def norm(vector):
    """Return the Euclidean norm; np.linalg.norm would use BLAS, whose threads slow ours."""
    return float(np.sqrt(np.sum(vector * vector)))


def dot(a, b):
    """Return the inner product of two vectors."""
    return float(np.sum(a * b))


class _Smooth:
    """A differentiable function; its line search fulfils the strong Wolfe conditions [4]_."""

    memory = 10  # steps that approximate the Hessian

    def __init__(self, function):
        self.function, self.n_evaluations = function, 0

    def evaluate(self, parameters):
        """Return the point with some parameters."""
        gradient = np.empty_like(parameters)
        self.n_evaluations += 1
        return _Point(parameters, self.function(parameters, gradient), gradient)

    def steepest(self, point):
        """Return the gradient, whose negative descends most."""
        return point.gradient

    def is_flat(self, point, tol):
        """Return whether the gradient is small beside the parameters."""
        return norm(self.steepest(point)) <= tol * max(1.0, norm(point.parameters))

    def project(self, point, direction):
        """Return a direction as the line search takes it."""
        return direction

    def search(self, point, direction, step):
        """Return a point along a direction, or None if there is no lower one."""
        slope = dot(direction, point.gradient)
        if not slope < 0:
            return None
        low, high, best = (0.0, point.value, slope), None, None
        for _ in range(_MOST_EVALUATIONS):
            trial = self.evaluate(point.parameters + step * direction)
            here = step, trial.value, dot(direction, trial.gradient)
            if not (trial.value <= point.value + _DECREASE * step * slope and trial.value <= low[1]):
                high = here
            elif abs(here[2]) <= -_CURVATURE * slope:
                return trial
            else:
                if here[2] * (1.0 if high is None else high[0] - low[0]) >= 0:
                    high = low
                low, best = here, trial
            step = 4 * step if high is None else _between(low, high)
        return best


def _between(low, high):
    """Return the minimum of a cubic between two (step, value, slope), kept off the ends; the middle without one."""
    (a, value_a, slope_a), (b, value_b, slope_b) = low, high
    with np.errstate(all="ignore"):
        mixed = slope_a + slope_b - 3 * (value_a - value_b) / (a - b)
        root = np.copysign(np.sqrt(np.float64(mixed * mixed - slope_a * slope_b)), b - a)
        share = 1 - (slope_b + root - mixed) / (slope_b - slope_a + 2 * root)
    return float(a + (b - a) * (min(max(share, 0.1), 0.9) if np.isfinite(share) else 0.5))


class _Sparse(_Smooth):
    """A differentiable function and a penalty on absolute values; steps stay in one orthant [3]_.

    Directions are mostly too long, because they end in another orthant than the function was measured in. A search
    begins with twice the last step therefore, and older steps help little.
    """

    memory = 6

    def __init__(self, function, l1):
        super().__init__(function)
        self.l1, self.last_step = l1, 1.0

    def evaluate(self, parameters):
        """Return the point with some parameters."""
        point = super().evaluate(parameters)
        return point._replace(value=point.value + float(np.sum(self.l1 * np.abs(parameters))))

    def steepest(self, point):
        """Return the subgradient of the smallest norm."""
        x, gradient = point.parameters, point.gradient
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - self.l1, 0)
        return np.where(x != 0, gradient + self.l1 * np.sign(x), at_zero)

    def project(self, point, direction):
        """Return a direction without the elements that do not descend."""
        return np.where(direction * self.steepest(point) < 0, direction, 0)

    def search(self, point, direction, step):
        """Return a point along a direction whose elements stop at zero, or None if there is no lower one."""
        x, steepest = point.parameters, self.steepest(point)
        orthant = np.where(x != 0, np.sign(x), -np.sign(steepest))
        slope, is_scaled = dot(steepest, direction), step == 1  # not so the first direction
        step = min(step, 2 * self.last_step)
        for _ in range(_MOST_EVALUATIONS):
            parameters = x + step * direction
            parameters[parameters * orthant <= 0] = 0
            trial = self.evaluate(parameters)
            if trial.value <= point.value + _DECREASE * dot(steepest, parameters - x):
                self.last_step = step if is_scaled else 1.0
                return trial if trial.value < point.value else None
            bend = trial.value - point.value - slope * step  # NaN and infinity shorten the step most
            best = -slope * step * step / (2 * bend) if bend > 0 else 0.0
            step = min(max(best, 0.1 * step), 0.7 * step)
        return None
