"""The base class of the classifiers."""

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin

from fastrnn.estimators.labels import label_array
from fastrnn.estimators.targets import learn_classes
from fastrnn.estimators.whole import WholeSequenceEstimator


class BaseClassifier(ClassifierMixin, WholeSequenceEstimator):
    """Base class of the classifiers: classes or several labels, their weights and probabilities."""

    def _learn_target(self, y, classes):
        return learn_classes(y, classes)

    def _target_weights(self, target, encoded):
        return target.weights(encoded, self.class_weight)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch on further examples.

        Parameters
        ----------
        X, y : as in `fit`
            The first call fixes the vocabulary, or mean and deviation of series.
        classes : array-like (K,), default=None
            All labels that may occur. Only the first call needs them, unless y holds all of them.
        sample_weight : array-like (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def decision_function(self, X):
        """Return the logits.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, K), or (n,) for two classes
            Logits of the classes or labels; for two classes, the logit of the second one minus that of the first.
        """
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if self._is_binary else outputs

    @property
    def _is_binary(self):
        return self._target.kind == "classes" and self._target.n_outputs == 2

    def predict_proba(self, X):
        """Return the probabilities of the classes or labels.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, K)
            In the order of ``classes_``. Rows sum to 1, unless y was an indicator matrix.
        """
        return self._predictions(X)

    def predict_log_proba(self, X):
        """Return the natural logarithm of `predict_proba`.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, K)
        """
        outputs = self._outputs(X)
        return log_softmax(outputs, axis=1) if self._target.kind == "classes" else log_expit(outputs)

    def predict(self, X):
        """Return the most probable class, or all labels that are more probable than not.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        array (n,) of labels, or int array (n, K)
        """
        outputs = self._outputs(X)
        if self._target.kind == "labels":
            return (outputs > 0).astype(np.int64)
        return self.classes_[outputs.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):
        """Return the accuracy: the share of sequences with the right class, or with all labels right.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like (n,), default=None

        Returns
        -------
        float
        """
        return super().score(X, label_array(y), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
