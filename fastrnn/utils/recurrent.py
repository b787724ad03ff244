"""The arguments of a recurrent layer's kernels that are the same on every device."""

from typing import NamedTuple


def state_parts(state):
    """Return the arrays of a recurrent state, which is an array, or a tuple of one for each state of the cell."""
    return state if isinstance(state, tuple) else (state,)


def as_state(parts):
    """Return arrays, one for each state of the cell, as users have states: an array, or a tuple of several."""
    return parts[0] if len(parts) == 1 else tuple(parts)


class Inputs(NamedTuple):
    """A batch of sequences of vectors, which may be given as row numbers into a table of vectors.

    From a table, `fastrnn.layers.Recurrent` computes ``W_ih · x + b`` once for each row instead of once for each step,
    and likewise the gradients, which are those of the table. With characters and two layers of equal size, this saves
    a quarter of all products.

    Attributes
    ----------
    vectors : array (T, B, D), (B, T, D), or (V, D) with `ids`
        The vectors, or a table of V vectors.
    ids : ndarray of int, (T, B) or (B, T), or None, default=None
        Row of the table for each step of each sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import GRU, Embedded
    >>> layer, table, ids = GRU(3, 5, random_state=0), np.eye(4, 3), np.array([[1, 3], [0, 3]])
    >>> y, h = layer.forward(Embedded(table, ids))
    >>> np.allclose(y, layer.forward(table[ids])[0])
    True
    """

    vectors: object
    ids: object = None

    @property
    def batch_shape(self):
        """The sizes before the last one: (T, B) or (B, T)."""
        return self.vectors.shape[:-1] if self.ids is None else self.ids.shape


class Attended(NamedTuple):
    """What the sequences of a recurrent layer attend to; for the backward pass, the gradients of its arrays.

    The context of a step is that of `fastrnn.kernels.attention` for the query W_query·h + bias, with h before the step.
    Its product with the last columns of W_ih is added to the input's part of the pre-activations.

    Attributes
    ----------
    contexts : array (T, B, M)
        Takes the contexts, zeros behind a sequence's end. Backward: their gradient without its part through the
        layer's gates, which is overwritten; what is behind a sequence's end is ignored.
    weights : array (T, B, S)
        Takes the weights, zeros behind a sequence's end. Backward: None.
    keys, values : array (R, A), array (R, M)
        The sources' rows. Backward: their gradients, which are added to, as are all that follow.
    offsets : int64 array (n + 1,)
        Source k has the rows ``offsets[k]`` to ``offsets[k + 1]``. Backward: None.
    sources : int array (B,) or None, default=None
        The source of each sequence; None if sequence b attends to source b. Several sequences may have the same one
        where no `backward` follows.
    score : array (A,) or None, default=None
        The v of the additive score; None for the dot product.
    weight_query, bias : array (A, output), array (A,); or None, default=None
        Make the query of h; None where it is h itself.
    """

    contexts: object
    weights: object
    keys: object
    values: object
    offsets: object = None
    sources: object = None
    score: object = None
    weight_query: object = None
    bias: object = None


class Regularizers(NamedTuple):
    """The masks of one direction in one pass, as rates and counters: every device draws the same ones.

    An element is kept or dropped as `fastrnn.kernels.counters` says. The tuples below are its (seed, sequence, step,
    unit); a step counts from where the direction begins to read.

    Attributes
    ----------
    recurrent_dropout : float
        Rate for h in the recurrent product, the same at every step: (seed, sequence, 0, unit).
    weight_dropout : float
        Rate for the elements of W_hh: (seed + 1, row, 0, column).
    zoneout : tuple of float
        Rate at which each state keeps its old value: (seed + 2 + number of the state, sequence, step, unit).
    seed : int
    number : int or None
        Number of the pass in training. None at prediction: only zoneout has an effect, by its expectation.
    """

    recurrent_dropout: float
    weight_dropout: float
    zoneout: tuple
    seed: int
    number: int | None


class HeldLayers(NamedTuple):
    """The layers of a recurrent network for many single steps.

    Attributes
    ----------
    directions : list
        The direction of each layer, as the backend made it.
    held : list
        The held weights of each layer.
    regularizers : Regularizers or None
    residual : bool
        Whether the input of a layer is added to its output, from the second layer on.
    """

    directions: list
    held: list
    regularizers: Regularizers | None
    residual: bool


class TokenOutput(NamedTuple):
    """The output of a language model: the logits of the next token, and the vector of a token that is fed back.

    Attributes
    ----------
    embedding : array (V, D)
    logit_map : object
        Weight and bias of the logits, as the backend's `pack_logit_map` returned them.
    never : tuple of int
        Tokens that are not drawn.
    end : int
        The token that ends a text.
    """

    embedding: object
    logit_map: object
    never: tuple
    end: int
