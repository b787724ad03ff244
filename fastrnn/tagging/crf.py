"""Linear-chain conditional random fields on sparse features."""

import collections.abc

import numpy as np
from sklearn.base import BaseEstimator

from fastrnn.estimators.examples import check_lengths, check_sample_weight
from fastrnn.tagging.base import BaseTagger
from fastrnn.tagging.labels import check_same_lengths, label_classes, label_sequences
from fastrnn.tagging.sparse.design import make_design
from fastrnn.tagging.sparse.features import AttributeReader
from fastrnn.tagging.sparse.files import CRFFilesMixin
from fastrnn.tagging.sparse.fitting import Fitting, Validation
from fastrnn.tagging.sparse.lbfgs import Stop
from fastrnn.tagging.sparse.objective import Objective
from fastrnn.tagging.targets import StepTargets, learn_tags
from fastrnn.text.reading import check_encoding
from fastrnn.text.schemes import SCHEMES
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.utils.checks import (
    check_choice,
    check_fitted,
    check_not_negative,
    check_positive_integer,
    shown,
)


class CRFTagger(CRFFilesMixin, BaseTagger, BaseEstimator):
    """Linear-chain conditional random field on sparse features.

    The probability of a sequence of labels is proportional to the exponential of a sum of weights: one for each
    attribute of an element with the element's label, and one for each two neighbouring labels [1]_. Features, objective
    and stopping rules are those of CRFsuite [2]_ with ``feature.possible_transitions``. There are weights for the pairs
    of an attribute and a label that occur together in the training data, and for all pairs of labels. Computation runs
    on CPUs.

    Parameters
    ----------
    features : "default", callable or None, default="default"
        How elements become attributes. Dictionaries and lists of attributes are taken as python-crfsuite takes them.
        "default" makes attributes of tokens, or of tuples of a token and further columns: windows of words, affixes and
        shapes. A function gets a sequence and a place in it, and returns a dictionary or a list of attributes. None
        takes tuples for lists of attributes.
    c1 : float, default=0.0
        Factor of the sum of the weights' absolute values, which makes weights 0. As CRFsuite's ``c1``.
    c2 : float, default=0.5
        Factor of the sum of the weights' squares. As CRFsuite's ``c2``, whose default is 1.
    min_count : int, default=1
        Least number of elements in which an attribute occurs with a label for the two to have a weight. As CRFsuite's
        ``feature.minfreq``.
    max_iter : int, default=1000
        Most iterations of L-BFGS, or of OWL-QN [3]_ where `c1` is above 0.
    tol : float, default=1e-5
        The fit stops where the loss has decreased by less than this share of itself over `n_iter_no_change` iterations.
        As CRFsuite's ``delta``.
    n_iter_no_change : int, default=10
        As CRFsuite's ``period``.
    scheme : {"auto", "iob1", "iob2", "bioes", "bilou", "bmes", None}, default="auto"
        Scheme of spans in which labels are learned, see `fastrnn.text.schemes`. That of y is recognized, and
        predictions have it. "auto" learns labels as they are, but "iob1" as "iob2". Sequences of labels that the scheme
        rules out are never predicted. None takes all labels for plain ones.
    input : {"tokens", "text"}, default="tokens"
        Form of X: sequences of elements, as `features` takes them; or raw strings, whose labels are spans of
        characters, and whose elements are tokens.
    tokenizer : {"words", "whitespace", "chars"}, callable or tokenizers.Tokenizer, default="words"
        Cuts texts, see `fastrnn.text.get_tokenizer`. Its tokens must be parts of the text, in their order.
    encoding : str, default="utf-8"
        Encoding of text files.
    class_weight : "balanced", dict or None, default=None
        Weight of the elements with each label; "balanced" gives all labels the same total weight. A sequence has the
        mean of its elements' weights, as its labels are learned together.
    warm_start : bool, default=False
        Whether `fit` begins with the weights of the last `fit`, as far as attributes and labels are the same.
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar on stderr. If stderr is not a terminal, a line for each iteration goes to the logger
        ``fastrnn``, level INFO.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, sorted.
    inner_classes_ : ndarray (K',)
        The labels that are learned: those of `scheme` instead of those of y.
    transitions_ : float64 ndarray (K', K')
        Weights of transitions, from inner label i to inner label j.
    scheme_ : str or None
        The scheme in which labels are learned.
    n_iter_ : int
        Number of iterations.
    loss_curve_ : list of float
        Negative log-likelihood of the training data with the penalties, at first and after each iteration.
    validation_scores_ : list of float
        With validation data, their score at first and after each iteration: as of `RNNTagger`, the F1 of entities if
        there are any, and else the accuracy.
    n_parameters_ : int
        Number of weights; with `c1`, of those other than 0 and of all transitions.
    nbytes_ : int
        Bytes of the arrays of weights. Attributes that always occur together share theirs.

    References
    ----------
    .. [1] John Lafferty, Andrew McCallum and Fernando Pereira, "Conditional random fields: Probabilistic models for
       segmenting and labeling sequence data", ICML 2001.
    .. [2] Naoaki Okazaki, "CRFsuite: a fast implementation of conditional random fields", 2007.
    .. [3] Galen Andrew and Jianfeng Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.

    Examples
    --------
    >>> from fastrnn import CRFTagger
    >>> X = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["dogs", "bark"]] * 5
    >>> y = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]] * 5
    >>> model = CRFTagger().fit(X, y)
    >>> model.predict([["the", "cat", "barks"]])
    [['DET', 'NOUN', 'VERB']]
    """

    def __init__(
        self,
        features="default",
        c1=0.0,
        c2=0.5,
        min_count=1,
        max_iter=1000,
        tol=1e-5,
        n_iter_no_change=10,
        scheme="auto",
        input="tokens",
        tokenizer="words",
        encoding="utf-8",
        class_weight=None,
        warm_start=False,
        n_jobs=None,
        verbose=0,
    ):
        self.features = features
        self.c1 = c1
        self.c2 = c2
        self.min_count = min_count
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.scheme = scheme
        self.input = input
        self.tokenizer = tokenizer
        self.encoding = encoding
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Learn from sequences and the labels of their elements.

        Parameters
        ----------
        X : list of sequences
            Lists of dictionaries, of lists of attributes, of tokens, or of tuples of a token and further columns; see
            `features`. Empty sequences are allowed. With ``input="text"``, strings.
        y : list of (list of label, or array (T_i,))
            A label for each element of X: strings, or whole numbers. With ``input="text"``, a list of
            (begin, end, label) for each text: spans of characters that do not overlap.
        sample_weight : array-like (n,), default=None
            Weight of each sequence: factor of its log-likelihood.
        X_val, y_val : as X and y, default=None
            Validation data, predicted after each iteration: the weights with the best score are kept. Labels that y
            does not have count as wrong.

        Returns
        -------
        self : CRFTagger

        Raises
        ------
        ValueError
            A parameter or the data cannot be used: lengths of X and y differ, or a label is missing, for instance.

        Warns
        -----
        ConvergenceWarning
            The fit ended after `max_iter` iterations, or it was interrupted (Ctrl-C): the model has the weights of the
            last iteration.
        """
        self._check_parameters()
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given both or not at all.")
        X, y = self._cut_with_tags(X, y, learning=True)
        if X_val is not None:
            X_val, y_val = self._cut_with_tags(X_val, y_val, ("X_val", "y_val"))
        return self._fit(X, y, sample_weight, X_val, y_val)

    def _fit(self, X, y, sample_weight, X_val, y_val):
        """Carry out `fit` for sequences of elements."""
        X, labels = list(X) if isinstance(X, collections.abc.Iterator) else X, label_sequences(y)
        reader, sequences = AttributeReader.learn(X, {"features": self.features}, self.min_count)
        check_lengths("X and y", None, sequences, labels)
        check_same_lengths(labels, sequences.lengths, ("X", "y"), self._elements)
        weights = check_sample_weight(sample_weight, len(labels))
        rows = np.flatnonzero(weights)
        if len(rows) < len(weights):  # sequences without weight count in nothing
            lists = labels.lists()
            return self._fit([X[i] for i in rows], [lists[i] for i in rows], weights[rows], X_val, y_val)
        target = learn_tags(labels, scheme=self.scheme)
        validation = None if X_val is None else Validation(X_val, y_val, reader, target, self.n_jobs)
        encoded = target.encode(labels)
        if self.class_weight is not None:
            weights = weights * target.weights(encoded, self.class_weight).means()
        tags = encoded.values.astype(np.int32)
        design = make_design(sequences, len(reader), tags, target.n_outputs, self.min_count)
        start = self._earlier_parameters(design, reader, target)
        objective = Objective(design, labels.offsets, tags, weights, self.c2, self.n_jobs)
        fitting = Fitting(objective, validation, self.verbose)
        fitting.minimize(start, self.c1, Stop(self.max_iter, self.tol, self.n_iter_no_change), self.n_jobs)
        learned = design.weights(fitting.parameters)
        kept = learned.rows >= 0
        self._set_learned(reader.keep(kept), target, learned.keep(kept))
        self._set_curves(fitting.loss_curve, fitting.validation_scores)
        return self

    def _check_parameters(self):
        if not callable(self.features):
            check_choice("features", self.features, ("default", None))
        check_choice("input", self.input, ("tokens", "text"))
        get_tokenizer(self.tokenizer)
        check_encoding(self.encoding)
        check_choice("scheme", self.scheme, ("auto", None, *SCHEMES))
        for name in ("c1", "c2", "tol"):
            check_not_negative(name, getattr(self, name))
        for name in ("min_count", "max_iter", "n_iter_no_change"):
            check_positive_integer(name, getattr(self, name))

    def _earlier_parameters(self, design, reader, target):
        """Return the parameters that a fit begins with: those of the last fit with `warm_start`, and else zeros."""
        start = np.zeros(design.n_parameters)
        if not self.warm_start or not hasattr(self, "_weights"):
            return start
        places = {name: place for place, name in enumerate(reader.attributes)}
        attributes = np.array([places.get(name, -1) for name in self._reader.attributes], np.int64)
        places = {label: place for place, label in enumerate(target.inner)}
        labels = np.array([places.get(label, -1) for label in self._target.inner], np.int64)
        return design.parameters(self._weights, attributes, labels)

    def _set_learned(self, reader, target, weights):
        self._reader, self._target, self._weights = reader, target, weights
        self.classes_, self.scheme_, self.inner_classes_ = target.classes, target.scheme, label_classes(target.inner)

    def _set_curves(self, loss_curve, validation_scores):
        self.n_iter_, self.loss_curve_, self.validation_scores_ = len(loss_curve) - 1, loss_curve, validation_scores

    @property
    def transitions_(self):
        """Weights of transitions between inner labels, float64 (K', K')."""
        check_fitted(self, "classes_")
        return self._weights.transitions

    @property
    def n_parameters_(self):
        """The number of weights."""
        check_fitted(self, "classes_")
        return self._weights.n_weights

    @property
    def nbytes_(self):
        """The bytes of the arrays of weights."""
        check_fitted(self, "classes_")
        return self._weights.nbytes

    def _read(self, X):
        check_fitted(self, "classes_")
        return self._reader.read(X)

    def _paths(self, X):
        sequences = self._read(X)
        return StepTargets(self._weights.paths(sequences, self._target.allowed(), self.n_jobs), sequences.offsets)

    def _marginals(self, X):
        sequences = self._read(X)
        return StepTargets(self._weights.marginals(sequences, self.n_jobs), sequences.offsets)

    def _emissions(self, X):
        sequences = self._read(X)
        scores = self._weights.emissions(sequences, self.n_jobs)[:, : len(self.inner_classes_)]
        return StepTargets(scores, sequences.offsets)

    def top_features(self, n=10, label=None):
        """Return the attributes with the largest weights.

        Parameters
        ----------
        n : int, default=10
        label : default=None
            One of ``inner_classes_``, whose weights are meant; None means those of all labels.

        Returns
        -------
        list of (weight, attribute, label)
            The largest weight first. Reasons against a label have weights below 0.

        Examples
        --------
        >>> from fastrnn import CRFTagger
        >>> model = CRFTagger().fit([[["cold"], ["warm", "sunny"]]], [["winter", "summer"]])
        >>> [(attribute, label) for _, attribute, label in model.top_features(3)]
        [('cold', 'winter'), ('warm', 'summer'), ('sunny', 'summer')]
        """
        check_fitted(self, "classes_")
        check_positive_integer("n", n)
        attributes, labels, values = self._weights.pairs()
        classes, names = self.inner_classes_.tolist(), self._reader.attributes
        if label is not None:
            if label not in classes:
                raise ValueError(f"label must be one of inner_classes_, {shown(classes)}, got {shown(label)}.")
            own = labels == classes.index(label)
            attributes, labels, values = attributes[own], labels[own], values[own]
        order = np.argsort(-values, kind="stable")[:n]
        return [(float(values[i]), names[attributes[i]], classes[labels[i]]) for i in order]
