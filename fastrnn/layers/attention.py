"""Attention: queries read weighted means of a memory, the outputs of an encoder."""

import math
from typing import NamedTuple

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers.dense import Dense
from fastrnn.utils.checks import check_choice, check_positive_integer, shown
from fastrnn.utils.recurrent import Attended

SCORES = ("additive", "general", "dot")


class AttentionMemory(NamedTuple):
    """What the queries of a batch attend to, as `Attention.read` returns it.

    Attributes
    ----------
    keys : array of the device (R, A)
        A row for each step of each sequence: the sequences one after the other, without padding.
    values : array of the device (R, M)
        The vectors themselves, in the same order.
    offsets : int64 array (B + 1,)
        Sequence b has the rows ``offsets[b]`` to ``offsets[b + 1]``.
    steps : int
        S, the number of weights of a query.
    """

    keys: object
    values: object
    offsets: object
    steps: int

    @property
    def lengths(self):
        """Number of vectors of each sequence, an int64 array (B,)."""
        return np.diff(self.offsets)


class Attention(Layer):
    """Attention: the context of a query q is Σ weights_s · m_s over the vectors m_s of a memory, the encoder's outputs.

    The weights are the softmax of scores, which compare the query with each vector. `read` takes a batch of memories
    and projects their keys once; `forward` computes the contexts of any number of queries.

    Parameters
    ----------
    query_size, memory_size : int
        Lengths Q and M of a query and of a vector of the memory.
    score : {"additive", "general", "dot"}, default="additive"
        - "additive": vᵀ·tanh(W_q·q + b + W_m·m) (Bahdanau et al. 2015).
        - "general": qᵀ·W_m·m (Luong et al. 2015).
        - "dot": qᵀ·m; the sizes must be equal.
    attention_size : int or None, default=None
        A, the number of hidden units of the additive score; None takes Q.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        Additive: ``weight_query`` (A, Q), ``bias`` (A,), ``weight_memory`` (A, M) and ``score`` (A,), the W_q, b, W_m
        and v above. General: ``weight_memory`` (Q, M). Drawn uniformly from ±1/√(length of a row).

    References
    ----------
    Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015.
    Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation", EMNLP 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Attention
    >>> layer = Attention(2, 2, "dot", dtype="float64")
    >>> memory = layer.read(np.array([[[4.0, 0.0]], [[0.0, 4.0]]]))  # 2 steps of 1 sequence
    >>> contexts, weights = layer.forward(np.array([[[1.0, 0.0]]]), memory)
    >>> weights.round(3), contexts.round(2)
    (array([[[0.982, 0.018]]]), array([[[3.93, 0.07]]]))
    """

    def __init__(self, query_size, memory_size, score="additive", attention_size=None, *, dtype="float32",
                 random_state=None, n_jobs=None, device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        check_positive_integer("query_size", query_size)
        check_positive_integer("memory_size", memory_size)
        check_choice("score", score, SCORES)
        if attention_size is not None:
            check_positive_integer("attention_size", attention_size)
        if score == "dot" and query_size != memory_size:
            raise ValueError(f"memory_size must be query_size={query_size} for score='dot', got {memory_size}.")
        self.query_size, self.memory_size, self.score = query_size, memory_size, score
        self.attention_size = (attention_size or query_size) if score == "additive" else query_size
        self._query = self._memory = None
        options = self._options()
        if score == "additive":
            self._query = Dense(query_size, self.attention_size, **options)
            self._add_part(self._query, {"weight": "weight_query", "bias": "bias"})
            bound = 1 / math.sqrt(self.attention_size)
            self._add_parameter("score", self._uniform(bound, self.attention_size))
        if score != "dot":
            self._memory = Dense(memory_size, self.attention_size, bias=False, **options)
            self._add_part(self._memory, {"weight": "weight_memory"})
        self._read = None  # what `read_backward` needs

    # ------------------------------------------------------------------------------------------------------ memory

    def read(self, memory, lengths=None, training=False):
        """Read the memories of a batch.

        Parameters
        ----------
        memory : array-like (S, B, M)
        lengths : array-like (B,) of int, default=None
            Vectors of each sequence, 0 allowed; None if all have S.
        training : bool, default=False
            Whether to keep what `read_backward` needs.

        Returns
        -------
        AttentionMemory

        Raises
        ------
        ValueError
            An argument has the wrong shape, or a length is outside 0 to S.
        """
        backend, memory = self.backend, self.backend.asarray(memory, self.dtype)
        if memory.ndim != 3 or memory.shape[2] != self.memory_size:
            raise ValueError(f"memory must have shape (S, B, {self.memory_size}), got {memory.shape}.")
        steps, batch = memory.shape[:2]
        lengths = np.full(batch, steps) if lengths is None else _integers("lengths", lengths, batch, steps)
        offsets = np.zeros(batch + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        sequences = np.repeat(np.arange(batch), lengths)
        rows = (np.arange(offsets[-1]) - offsets[sequences]) * batch + sequences  # of the padded batch
        values = backend.take_rows(backend.reshape(memory, (steps * batch, self.memory_size)), rows)
        keys = values if self._memory is None else self._memory.forward(values, training, by_rows=True)
        if training:
            self._read = [memory.shape, rows, keys, None]
        return AttentionMemory(keys, values, offsets, steps)

    def read_backward(self):
        """Return the gradient of the memory of the last `read` with ``training=True``, and add to those of parameters.

        Returns
        -------
        array of the device (S, B, M)
            The sum over all calls of `backward` since then; zeros after the end of a sequence.

        Raises
        ------
        RuntimeError
            Nothing was read with ``training=True``, or there was no `backward` since then.
        """
        if self._read is None or self._read[3] is None:
            raise RuntimeError("read_backward needs a read with training=True and a backward before it.")
        (steps, batch, size), rows, _, (d_keys, d_values) = self._read
        self._read, backend = None, self.backend
        d_rows = backend.add(d_values, d_keys if self._memory is None else self._memory.backward(d_keys))
        d_memory = backend.zeros((steps * batch, size), self.dtype)
        backend.assign_rows(d_memory, rows, d_rows)
        return backend.reshape(d_memory, (steps, batch, size))

    def memory_gradients(self, memory):
        """Return the arrays that gradients of a memory's keys and values are added to, for `read_backward`.

        Parameters
        ----------
        memory : AttentionMemory
            Of the last `read` with ``training=True``.

        Returns
        -------
        d_keys, d_values : array of the device (R, A), array of the device (R, M)
        """
        if self._read is None or self._read[2] is not memory.keys:
            raise RuntimeError("backward needs a memory that was read with training=True, and no other since.")
        if self._read[3] is None:
            self._read[3] = tuple(self.backend.zeros(part.shape, self.dtype) for part in (memory.keys, memory.values))
        return self._read[3]

    # ----------------------------------------------------------------------------------------------------- queries

    def forward(self, queries, memory, lengths=None, sources=None, training=False):
        """Compute the contexts of queries.

        Parameters
        ----------
        queries : array-like (T, B, Q)
        memory : AttentionMemory
        lengths : array-like (B,) of int, default=None
            Queries of each sequence, 0 allowed; None if all have T.
        sources : array-like (B,) of int, default=None
            The sequence of the memory that each sequence of queries reads; in training, no two may read the same one.
            None: sequence b reads sequence b.
        training : bool, default=False
            Whether to keep what `backward` needs. Queries must not change before that.

        Returns
        -------
        contexts : array of the device (T, B, M)
            Zeros after the end of a sequence, and where the memory has no vectors.
        weights : array of the device (T, B, S)
            Zeros after the end of a memory, and where contexts are zeros.

        Raises
        ------
        ValueError
            An argument has the wrong shape, or a number is out of its range.
        """
        backend, queries = self.backend, self.backend.asarray(queries, self.dtype)
        if queries.ndim != 3 or queries.shape[2] != self.query_size:
            raise ValueError(f"queries must have shape (T, B, {self.query_size}), got {queries.shape}.")
        steps, batch = queries.shape[:2]
        lengths = None if lengths is None else _integers("lengths", lengths, batch, steps)
        sources = self.check_memory(memory, batch, sources)
        if training and sources is not None and len(np.unique(sources)) < batch:
            raise ValueError(f"sources must be different numbers in training, got {shown(sources.tolist())}.")
        if self._query is not None:
            queries = self._query.forward(queries, training, by_rows=True)
        contexts = backend.empty((steps, batch, memory.values.shape[1]), self.dtype)
        weights = backend.empty((steps, batch, memory.steps), self.dtype)
        backend.attention_forward(contexts, weights, queries, memory.keys, memory.values, self.parameters.get("score"),
                                  memory.offsets, sources, lengths, self.n_jobs)  # fmt: skip
        if training:
            self._keep(weights, queries, memory, sources, lengths)
        return contexts, weights

    def backward(self, d_contexts):
        """Return the gradient of the queries of the last `forward`, and add to those of parameters and memory.

        Parameters
        ----------
        d_contexts : array-like (T, B, M)

        Returns
        -------
        array of the device (T, B, Q)

        Raises
        ------
        RuntimeError
            There was no `read` or no `forward` with ``training=True`` before.
        ValueError
            `d_contexts` has the wrong shape.
        """
        backend, d_contexts = self.backend, self.backend.asarray(d_contexts, self.dtype)
        weights, queries, memory, sources, lengths = self._recall()
        shape = (*weights.shape[:2], memory.values.shape[1])
        if d_contexts.shape != shape:
            raise ValueError(f"d_contexts must have shape {shape}, got {d_contexts.shape}.")
        d_keys, d_values = self.memory_gradients(memory)
        d_queries = backend.empty_like(queries)
        backend.attention_backward(d_queries, d_keys, d_values, self.grads.get("score"), d_contexts, weights, queries,
                                   memory.keys, memory.values, self.parameters.get("score"), memory.offsets, sources,
                                   lengths, self.n_jobs)  # fmt: skip
        self._forget()
        return d_queries if self._query is None else self._query.backward(d_queries)

    # ---------------------------------------------------------------------------- inside a recurrent layer's time loop

    def attended(self, memory, steps, sources=None):
        """Return what a recurrent layer attends to, with new arrays for contexts and weights.

        Parameters
        ----------
        memory : AttentionMemory
        steps : int
            T.
        sources : array-like (B,) of int, default=None
            As in `forward`.

        Returns
        -------
        fastrnn.utils.recurrent.Attended
        """
        batch, empty = len(memory.offsets) - 1 if sources is None else len(sources), self.backend.empty
        sources = self.check_memory(memory, batch, sources)
        if memory.values.shape[1] != self.memory_size:
            raise ValueError(f"memory must have vectors of length {self.memory_size}, got {memory.values.shape[1]}.")
        return Attended(
            empty((steps, batch, self.memory_size), self.dtype), empty((steps, batch, memory.steps), self.dtype),
            memory.keys, memory.values, memory.offsets, sources,
            *map(self.parameters.get, ("score", "weight_query", "bias")),
        )  # fmt: skip

    def attended_gradients(self, memory, d_contexts):
        """Return the gradients of what a recurrent layer has attended to, for its `backward`.

        Parameters
        ----------
        memory : AttentionMemory
            Of the last `read` with ``training=True``.
        d_contexts : array of the device (T, B, M)
            It is overwritten.

        Returns
        -------
        fastrnn.utils.recurrent.Attended
        """
        of_query = map(self.grads.get, ("score", "weight_query", "bias"))
        return Attended(d_contexts, None, *self.memory_gradients(memory), None, None, *of_query)

    def forget(self):
        """Release what the last passes in training have kept; there is no `backward` after this."""
        super().forget()
        self._read = None

    def __getstate__(self):
        return {**super().__getstate__(), "_read": None}

    def check_memory(self, memory, batch, sources=None):
        """Return the numbers of sources as an int64 array, or None; raise ValueError if queries cannot read a memory.

        Parameters
        ----------
        memory : AttentionMemory
        batch : int
            Number of sequences of queries.
        sources : array-like (batch,) of int or None
            As in `forward`.
        """
        if not isinstance(memory, AttentionMemory):
            raise ValueError(f"memory must be what attention.read returned, got {shown(memory)}.")
        keys, expected = memory.keys, (self.attention_size, self.dtype)
        if (keys.shape[1], keys.dtype) != expected:
            raise ValueError(
                f"memory must be what read of this layer returned, with keys of length {expected[0]} in {expected[1]}, "
                f"got length {keys.shape[1]} in {keys.dtype}."
            )
        count = len(memory.offsets) - 1
        if sources is not None:
            return _integers("sources", sources, batch, count - 1)
        if count != batch:
            raise ValueError(f"queries must have shape (T, {count}, {self.query_size}), as many as the memory has.")
        return None


def _integers(name, values, count, most):
    """Return an argument as an int64 array (count,), checked to be integers from 0 to `most`."""
    values = np.asarray(values)
    if values.shape != (count,) or (
        count and not (np.issubdtype(values.dtype, np.integer) and 0 <= values.min() <= values.max() <= most)
    ):
        raise ValueError(f"{name} must be {count} integers from 0 to {most}, got {shown(values)}.")
    return values.astype(np.int64)
