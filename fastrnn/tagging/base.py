"""The base class of all taggers: predictions for each element of sequences, and their accuracy."""

import abc
import collections.abc

import numpy as np

from fastrnn.estimators.examples import check_lengths, check_sample_weight
from fastrnn.tagging.labels import check_same_lengths
from fastrnn.text.offsets import CutTexts
from fastrnn.utils.use import GuardedMixin


class BaseTagger(GuardedMixin, abc.ABC):
    """Base class of taggers: labels, marginal probabilities, accuracy.

    A tagger carries no classifier tag, because scikit-learn's classifiers need one label for each sample. scikit-learn
    therefore splits its data with `KFold`.

    A subclass has `_target`, a `TagsTarget`, and writes `_paths`, `_marginals` and `_emissions`, which return
    `StepTargets`.
    """

    input = "tokens"  # "text" for raw strings, whose labels are spans of characters
    _elements = "elements"  # their name in messages, in the plural
    _returns_arrays = False  # whether predictions are arrays rather than lists

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @abc.abstractmethod
    def _paths(self, X):
        """Return the best classes of each sequence as `StepTargets`, int (N,)."""

    @abc.abstractmethod
    def _marginals(self, X):
        """Return the probability of each class at each element as `StepTargets`, float64 (N, K)."""

    @abc.abstractmethod
    def _emissions(self, X):
        """Return the score of each class at each element, without transitions, as `StepTargets`, float64 (N, K)."""

    def _cut(self, X, name="X", learning=False):
        """Return X; with ``input="text"``, its texts cut into tokens, as `CutTexts`."""
        if self.input != "text" or isinstance(X, CutTexts):
            return X
        return CutTexts.of(X, self.tokenizer, self.encoding, name, learning)

    def _cut_with_tags(self, X, y, names=("X", "y"), learning=False):
        """Return X and y; with ``input="text"``, the tokens of the texts, and their tags in place of spans."""
        y = list(y) if isinstance(y, collections.abc.Iterator) else y  # which is read several times
        if self.input != "text":
            return X, y
        X = self._cut(X, names[0], learning)
        return X, X.tags(y, names[1])

    def _labels(self, X):
        """Return the labels of X, which is cut."""
        paths = self._paths(X)  # which raises if nothing is fitted
        return self._target.decode(paths, self._returns_arrays)

    def predict(self, X):
        """Return the labels of the elements, or the spans in texts.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        list of (list of label), of array (T_i,) for series, or of list of (begin, end, label) for texts
            With a CRF: the most probable sequence of labels, which need not have the most probable label everywhere. If
            y had several labels for each element: list of int64 array (T_i, K), 1 where a label is more probable than
            not.
        """
        X = self._cut(X)
        return X.spans(self._labels(X)) if self.input == "text" else self._labels(X)

    def predict_proba(self, X):
        """Return the probabilities of the labels of each element.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        list of float64 array (T_i, K)
            In the order of ``classes_``; rows sum to 1, unless y had several labels for each element. Texts have a row
            for each token, see `fastrnn.text.tokenize`. With a CRF these are the marginals: sums over all sequences of
            labels. If the model learned labels of another scheme than that of y, the probability of a label is the sum
            of those that stand for it: ``B-PER`` has that of ``S-PER`` and ``B-PER``. In "iob1" all beginnings count
            as ``I-``.
        """
        marginals = self._marginals(self._cut(X))
        return self._target.merge(marginals, np.add).parts()

    def predict_log_proba(self, X):
        """Return the natural logarithm of `predict_proba`.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        list of float64 array (T_i, K)
            -inf for a label that is impossible.
        """
        with np.errstate(divide="ignore"):
            return [np.log(part) for part in self.predict_proba(X)]

    def decision_function(self, X):
        """Return the scores of the labels of each element, to which a CRF adds those of transitions.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        list of float64 array (T_i, K)
            Logits (emissions), in the order of ``classes_``. Those of several labels that stand for one are merged as
            logarithms of sums of exponentials, see `predict_proba`.
        """
        emissions = self._emissions(self._cut(X))
        return self._target.merge(emissions, np.logaddexp).parts()

    def score(self, X, y, sample_weight=None):
        """Return the accuracy: the share of elements (tokens of texts) with the right label, or all labels right.

        Parameters
        ----------
        X, y : as in `fit`
            A label that is no class counts as wrong.
        sample_weight : array-like (n,), default=None
            Weight of each sequence: of each of its elements.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            y has not a label for each element of X, or there are none.

        See Also
        --------
        fastrnn.metrics : Precision, recall and F1 of entities.
        """
        X, y = self._cut_with_tags(X, y)
        predicted = self._labels(X)
        labels = self._target.read(y)
        check_lengths("X and y", X, predicted, labels)
        check_same_lengths(labels, [len(part) for part in predicted], ("X", "y"), self._elements)
        if not labels.lengths.any():
            raise ValueError("y holds no labels: the accuracy of no elements is not defined.")
        right = self._target.right(labels, predicted)
        if sample_weight is None:
            return float(right.mean())
        weights = np.repeat(check_sample_weight(sample_weight, len(labels)), labels.lengths)
        if not weights.any():
            raise ValueError("sample_weight leaves no element with a weight above 0.")
        return float(np.average(right, weights=weights))
