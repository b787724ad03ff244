"""The course of a fit of a conditional random field: iterations, validation, progress, interrupts."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastrnn.estimators.examples import check_lengths
from fastrnn.tagging.labels import check_same_lengths, label_sequences
from fastrnn.tagging.sparse.lbfgs import minimize
from fastrnn.tagging.targets import StepTargets
from fastrnn.utils.checks import warn_caller
from fastrnn.utils.progress import Progress


class Validation:
    """Held-out sequences, and the score of their predicted labels.

    Parameters
    ----------
    X, y : as in `fit`
    reader : AttributeReader
    target : TagsTarget
    n_jobs : int or None
    """

    def __init__(self, X, y, reader, target, n_jobs):
        self.labels = label_sequences(y, "y_val")
        self.sequences = reader.read(X)
        check_lengths("X_val and y_val", None, self.sequences, self.labels)
        check_same_lengths(self.labels, self.sequences.lengths, ("X_val", "y_val"), "elements")
        if not self.labels.flat:
            raise ValueError("y_val holds no labels: at least one sequence with an element is required.")
        self.target, self.n_jobs = target, n_jobs
        self.tags = target.encode(self.labels, "y_val", allow_unknown=True)

    def score(self, weights):
        """Return entity F1 or accuracy of the sequences, as ``validation_scores_`` has them."""
        paths = weights.paths(self.sequences, self.target.allowed(), self.n_jobs)
        return self.target.validation_score(self.tags, StepTargets(paths, self.tags.offsets))


class Fitting:
    """Minimizes an objective; keeps the last parameters, or with validation those with the best score.

    Parameters
    ----------
    objective : Objective
    validation : Validation or None
    verbose : int

    Attributes
    ----------
    parameters : float64 array (P,)
    loss_curve, validation_scores : list of float
    """

    def __init__(self, objective, validation, verbose):
        self.objective, self.validation, self.verbose = objective, validation, verbose
        self.parameters, self.loss_curve, self.validation_scores = None, [], []

    def minimize(self, start, c1, stop, n_jobs):
        """Minimize the objective and the penalty `c1`, from the parameters `start` on."""
        l1 = c1 * self.objective.design.scales if c1 else None
        has_converged = False
        with np.errstate(all="ignore"), Progress("CRF", self.verbose, "iterations") as progress:
            try:
                for iterate in minimize(self.objective, start, l1, stop, n_jobs=n_jobs):
                    self._record(iterate, progress)
                    has_converged = iterate.has_converged
            except KeyboardInterrupt:
                if self.parameters is None:
                    raise
                done = len(self.loss_curve) - 1
                warn_caller(
                    f"The fit was interrupted after {done} iterations: their weights are kept.", ConvergenceWarning
                )
                return
        if not has_converged:
            warn_caller(
                f"The fit has not converged after max_iter={stop.max_iter} iterations: increase max_iter or tol.",
                ConvergenceWarning,
            )

    def _record(self, iterate, progress):
        """Keep what an iteration has given."""
        figures = {"loss": f"{iterate.value:.6g}"}
        self.loss_curve.append(iterate.value)
        is_best = True
        if self.validation is not None:
            score = self.validation.score(self.objective.design.weights(iterate.parameters))
            is_best = score >= max(self.validation_scores, default=score)
            self.validation_scores.append(score)
            figures["validation"] = f"{score:.4f}"
        if is_best:
            self.parameters = iterate.parameters
        progress.update(1, lambda: figures)
        shown = ", ".join(f"{name} {figure}" for name, figure in figures.items())
        progress.line(f"iteration {len(self.loss_curve) - 1}, {shown}, {progress.seconds:.1f} s")
