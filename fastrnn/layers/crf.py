"""The linear-chain conditional random field: the output layer of taggers, a distribution over whole paths of tags."""

import math

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.utils.checks import check_positive_integer, shown

_SCORES = ("transitions", "start_transitions", "end_transitions")
_FIRST_BOUND = 0.1  # of the initial scores, as in pytorch-crf
_LOWEST = np.finfo(np.float64).min


def is_allowed(path, allowed):
    """Return whether a path of tags, int (T,), is allowed; `allowed` has arrays of bool (K,), (K, K) and (K,)."""
    start, transitions, end = allowed
    return not len(path) or bool(start[path[0]] and transitions[path[:-1], path[1:]].all() and end[path[-1]])


def allowed_scores(allowed, dtype="float64"):
    """Return three arrays of `dtype`: 0 where the arrays of bool `allowed` are True, and minus infinity elsewhere."""
    return [np.where(part, 0, -np.inf).astype(dtype) for part in allowed]


class CRF(Layer):
    """Linear-chain conditional random field: scores of neighbouring tags join the emissions of a network.

    The probability of a path y of tags is proportional to the exponential of start[y_0] + Σ emissions[t, y_t] +
    Σ transitions[y_{t-1}, y_t] + end[y_{T-1}], see `fastrnn.kernels.crf`. Training maximizes the likelihood of the
    paths given.

    Parameters
    ----------
    num_tags : int
        K.
    allowed : tuple of three bool arrays or None, default=None
        Whether a path may start with a tag (K,), may have tag j after tag i (K, K), and may end with a tag (K,).
        `decode` finds allowed paths only. None allows all.
    constrain : bool, default=False
        Whether the loss and the marginals, too, count allowed paths only.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``transitions`` (K, K), where (i, j) is the score of tag j after tag i, ``start_transitions`` (K,) and
        ``end_transitions`` (K,): the names of pytorch-crf. Drawn uniformly from ±0.1.

    References
    ----------
    Lafferty, McCallum and Pereira, "Conditional random fields: probabilistic models for segmenting and labeling
    sequence data", ICML 2001. Lample, Ballesteros, Subramanian, Kawakami and Dyer, "Neural architectures for named
    entity recognition", NAACL 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import CRF
    >>> layer = CRF(2, dtype="float64", random_state=0)
    >>> emissions = np.array([[[2.0, 0.0]], [[0.0, 0.1]], [[0.0, 3.0]]])  # 3 steps of 1 sequence, 2 tags
    >>> loss, d_emissions = layer.loss_and_gradient(emissions, np.array([[0], [1], [1]]))
    >>> round(loss, 3)
    0.781
    >>> layer.decode(emissions)[0][:, 0]
    array([0, 1, 1], dtype=int32)
    >>> layer.marginals(emissions)[1, 0].round(2)
    array([0.45, 0.55])
    """

    def __init__(self, num_tags, allowed=None, constrain=False, *, dtype="float32", random_state=None, n_jobs=None,
                 device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        check_positive_integer("num_tags", num_tags)
        self.num_tags, self.constrain = num_tags, constrain
        self.allowed = None if allowed is None else self._read_allowed(allowed)
        self._add_parameter("start_transitions", self._uniform(_FIRST_BOUND, num_tags))
        self._add_parameter("end_transitions", self._uniform(_FIRST_BOUND, num_tags))
        self._add_parameter("transitions", self._uniform(_FIRST_BOUND, (num_tags, num_tags)))

    def loss(self, emissions, tags, weights=1.0, lengths=None):
        """Return Σ weights · −log p(tags).

        Parameters
        ----------
        emissions : array-like (T, B, K)
        tags : array-like of int (T, B)
            From 0 to K − 1; what comes after the end of a sequence is ignored.
        weights : float or array-like (B,), default=1.0
            Of the sequences.
        lengths : array-like (B,) of int or None, default=None
            Steps of each sequence, 0 allowed; None if all have T.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            A path is not allowed, and `constrain` is on.
        """
        return self._loss(emissions, tags, weights, lengths, training=False)[0]

    def loss_and_gradient(self, emissions, tags, weights=1.0, lengths=None):
        """Return the loss and its gradient by the emissions, and add to the gradients of the parameters.

        Parameters
        ----------
        emissions, tags, weights, lengths : as in `loss`

        Returns
        -------
        loss : float
        d_emissions : array of the device (T, B, K)
            0 after the end of a sequence.
        """
        return self._loss(emissions, tags, weights, lengths, training=True)

    def marginals(self, emissions, lengths=None):
        """Return the probability of each tag at each step, given the whole sequence.

        Parameters
        ----------
        emissions, lengths : as in `loss`

        Returns
        -------
        ndarray of float64 (T, B, K)
            0 after the end of a sequence.
        """
        emissions, lengths = self._read(emissions, lengths)
        marginals = self.backend.empty(emissions.shape, "float64")
        self.backend.crf_marginals(marginals, emissions, *self._model(self.constrain), lengths, self.n_jobs)
        return np.array(self.backend.to_numpy(marginals))

    def advance(self, emissions, before=None):
        """Go one step of the forward algorithm (Rabiner 1989): the probability of each tag given the steps so far.

        Scores of the end are left out, because more steps may follow.

        Parameters
        ----------
        emissions : float64 ndarray (B, K)
            Of the step.
        before : float64 ndarray (B, K) or None, default=None
            What this method has returned for the step before; None at the first step.

        Returns
        -------
        float64 ndarray (B, K)
            Logarithms of the forward messages, the largest of a sequence 0: a softmax makes probabilities of them.
        """
        transitions, start, _ = self._model(self.constrain)
        if before is None:
            messages = emissions + self.backend.to_numpy(start)
        else:
            paths = before[:, :, np.newaxis] + self.backend.to_numpy(transitions)  # (B, K, K)
            largest = np.maximum(paths.max(axis=1, keepdims=True), _LOWEST)
            with np.errstate(divide="ignore"):
                messages = emissions + largest[:, 0] + np.log(np.exp(paths - largest).sum(axis=1))
        return messages - messages.max(axis=1, keepdims=True)

    def decode(self, emissions, lengths=None):
        """Return the most probable path of each sequence (Viterbi 1967).

        Parameters
        ----------
        emissions, lengths : as in `loss`

        Returns
        -------
        tags : int32 ndarray (T, B)
            -1 after the end of a sequence.
        scores : float64 ndarray (B,)
            The sums of scores of the paths.

        Raises
        ------
        ValueError
            A sequence has no allowed path.
        """
        emissions, lengths = self._read(emissions, lengths)
        steps, batch, _ = emissions.shape
        tags, scores = np.empty((steps, batch), np.int32), np.empty(batch)
        self.backend.crf_viterbi(tags, scores, emissions, *self._model(constrained=True), lengths, self.n_jobs)
        if (scores == -math.inf).any():
            raise ValueError(
                f"emissions must leave each sequence an allowed path, but sequence {int(scores.argmin())} has none."
            )
        return tags, scores

    def decoding_scores(self):
        """Return what `decode` adds to emissions, as `state_dict` does: minus infinity for what is not allowed."""
        model = self._model(constrained=True)
        return {name: np.array(self.backend.to_numpy(scores)) for name, scores in zip(_SCORES, model, strict=True)}

    def _loss(self, emissions, tags, weights, lengths, training):
        """Return the loss, and its gradient or None."""
        emissions, lengths = self._read(emissions, lengths)
        tags = self._read_tags(tags, emissions.shape, lengths)
        weights = self._read_weights(weights, emissions.shape[1])
        gradients, grads = (None,) * 4, self.grads
        if training:
            gradients = (self.backend.empty_like(emissions), grads["transitions"], grads["start_transitions"],
                         grads["end_transitions"])  # fmt: skip
        model = self._model(self.constrain)
        loss = self.backend.crf_loss(*gradients, emissions, *model, tags, lengths, weights, self.n_jobs)
        if math.isinf(loss) and self.constrain and self.allowed is not None:
            self._check_allowed(tags, lengths)
        return loss, gradients[0]

    def _model(self, constrained):
        """Return transitions, start and end, minus infinity where they are forbidden and that counts."""
        scores = [self.parameters[name] for name in _SCORES]
        if self.allowed is None or not constrained:
            return scores
        start, transitions, end = self.allowed
        added = allowed_scores((transitions, start, end), self.dtype)
        return [
            self.backend.add(values, self.backend.asarray(part)) for values, part in zip(scores, added, strict=True)
        ]

    def _read_allowed(self, allowed):
        """Return `allowed` as three arrays of bool."""
        arrays, size = [np.asarray(part, bool) for part in allowed], self.num_tags
        if [array.shape for array in arrays] != [(size,), (size, size), (size,)]:
            raise ValueError(
                f"allowed must be three arrays of shapes ({size},), ({size}, {size}) and ({size},), "
                f"got {[array.shape for array in arrays]}."
            )
        return tuple(arrays)

    def _read(self, emissions, lengths):
        """Return emissions as an array of the device, and lengths as int64 (B,)."""
        emissions = self.backend.asarray(emissions, self.dtype)
        if emissions.ndim != 3 or emissions.shape[2] != self.num_tags:
            raise ValueError(f"emissions must have shape (T, B, {self.num_tags}), got {emissions.shape}.")
        steps, batch, _ = emissions.shape
        given, lengths = lengths, np.full(batch, steps) if lengths is None else np.asarray(lengths)
        are_integers = lengths.dtype.kind in "iu" or not batch
        if lengths.shape != (batch,) or not are_integers or not ((lengths >= 0) & (lengths <= steps)).all():
            raise ValueError(f"lengths must be {batch} integers from 0 to {steps}, got {shown(given)}.")
        return emissions, lengths.astype(np.int64)

    def _read_weights(self, weights, batch):
        """Return weights as float64 (B,)."""
        weights = np.asarray(weights, np.float64)
        if weights.shape not in ((), (1,), (batch,)):
            raise ValueError(f"weights must be a number or an array of shape ({batch},), got shape {weights.shape}.")
        return np.broadcast_to(weights, (batch,))

    def _read_tags(self, tags, shape, lengths):
        """Return tags as int64 (T, B), 0 after the end of a sequence."""
        tags = np.asarray(tags)
        if tags.shape != shape[:2] or (tags.size and tags.dtype.kind not in "iu"):
            raise ValueError(f"tags must be integers of shape {shape[:2]}, got {tags.dtype} of shape {tags.shape}.")
        tags = np.where(np.arange(shape[0])[:, np.newaxis] < lengths, tags, 0)
        if tags.size and not 0 <= tags.min() <= tags.max() < self.num_tags:
            raise ValueError(f"tags must be from 0 to {self.num_tags - 1}, got {tags.min()} to {tags.max()}.")
        return tags.astype(np.int64)

    def _check_allowed(self, tags, lengths):
        """Raise ValueError for the first path that is not allowed."""
        for b, length in enumerate(lengths):
            path = tags[:length, b]
            if not is_allowed(path, self.allowed):
                raise ValueError(
                    f"tags must be allowed paths, but that of sequence {b} is not: {shown(path.tolist())}."
                )
