"""How far back the gradient of a recurrent network reaches."""

import collections.abc
import copy
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from fastrnn.inspection._display import Display, default_name, draw_lines, finish, new_axes
from fastrnn.inspection._inputs import last_step, read_inputs
from fastrnn.inspection._unrolled import direction_names, on_host, unroll
from fastrnn.language.recurrent import RNNLanguageModel
from fastrnn.layers import Pooling
from fastrnn.text.batching import IGNORED
from fastrnn.translation import RNNTranslator
from fastrnn.utils.checks import check_choice
from fastrnn.utils.recurrent import state_parts
from fastrnn.utils.use import reads


class GradientFlow(NamedTuple):
    """Result of `gradient_flow`.

    Attributes
    ----------
    norms : ndarray (N, layers · directions, T)
        Norm of the gradient of the loss by each state of each layer and direction, at lags 0 to T - 1: lag 0 is the
        state after the last step that this direction reads. The mean of the sequences that are long enough.
    states : tuple of str
        The names of the N states: ``("h",)``, or ``("h", "c")`` for an LSTM.
    names : tuple of str
        The layers and directions as in the names of parameters: ``"l0"``, ``"l0_reverse"``, ``"l1"``, ...
    """

    norms: np.ndarray
    states: tuple
    names: tuple


@reads
def gradient_flow(model, X, random_state=None, y=None, step=None):
    """Return the norm of the gradient of a loss at the end of a sequence by the states at every lag before it.

    The loss of a language model is -log p of the last token of a text, given those before. Classifiers and regressors
    have the loss that they are trained with. Without `y`, a classifier takes its own predictions as targets, and the
    loss of a regressor is the sum of its outputs. The loss of a recurrent layer is a random projection of the last
    output: its scalar product with a random vector of length 1, the same for all sequences. The last output of a layer
    that reads backwards is that of the first step; with two directions, the vector covers both.

    The states of a translator are those of its encoder, and the loss is -log p of the target, or of its token `step`:
    the gradient has come back through the decoder. Without attention, it enters at lag 0 alone; attention gives every
    state a short path to every token of the target.

    The gradient by a state includes all its paths to the loss: through the next step and, for h, through the layer
    above. It is computed in float64, but in the decoder of a translator, for the network at prediction, without
    dropout. Pooling over all steps gives each of them a short path to the loss.

    Parameters
    ----------
    model : RNNLanguageModel, RNNClassifier, RNNRegressor, RNNTranslator or Recurrent
        A fitted model, perhaps in a pipeline, or a recurrent layer (RNN, GRU, LSTM, ...).
    X : iterable of (str or list of str), or array, or list of ndarray (T_i, D)
        For a model, texts of at least one token, each read on its own, or series, as it reads them; for a layer, a
        batch in its layout (T, B, D) or (B, T, D), or sequences of their own lengths.
    random_state : int, RandomState instance or None, default=None
        Draws the projection for a layer.
    y : array-like (n,) or (n, K), or list of (str or list of str), or None, default=None
        The targets of a classifier or regressor; those of a translator, which takes its predictions without them.
    step : int or None, default=None
        The one token of a translator's targets whose loss is meant: 0 is the first, -1 is ``</s>``.

    Returns
    -------
    GradientFlow

    Raises
    ------
    ValueError
        X is empty or a sequence is, or X has the wrong shape, or `y` or `step` is given for another model.

    References
    ----------
    Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult", IEEE Transactions
    on Neural Networks 5, 1994. Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013. Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", ICLR
    2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.inspection import gradient_flow
    >>> from fastrnn.layers import RNN
    >>> x = np.random.default_rng(0).standard_normal((30, 8, 2))
    >>> flow = gradient_flow(RNN(2, 16, random_state=0), x, random_state=0)
    >>> flow.norms.shape, flow.names
    ((1, 1, 30), ('l0',))
    >>> bool(np.isclose(flow.norms[0, 0, 0], 1)), bool(flow.norms[0, 0, 29] < 1e-6)
    (True, True)
    """
    model, X = last_step(model, X)
    X = list(X) if isinstance(X, collections.abc.Iterator) else X
    inputs = read_inputs(model, X)
    if not inputs.sequences:
        raise ValueError("X is empty: gradient_flow needs at least one sequence.")
    is_text, is_layer = isinstance(model, RNNLanguageModel), model is inputs.layer
    if y is not None and (is_text or is_layer):
        raise ValueError(f"y must be None for {'a language model' if is_text else 'a layer'}: it has another loss.")
    if step is not None and not isinstance(model, RNNTranslator):
        raise ValueError("step must be None for a model that is not a translator: its targets have no steps.")
    sequences = [sequence[:-1] for sequence in inputs.sequences] if is_text else inputs.sequences
    for b, sequence in enumerate(sequences):
        if not len(sequence):
            raise ValueError(f"X[{b}] is empty: there is no last step.")
    unrolled, d_last = unroll(inputs.layer, sequences), None
    if isinstance(model, RNNTranslator):
        dy, d_last = _translation_gradient(model, X, y, step)
    elif is_text:
        dy = _loss_gradient(model.network_.output, unrolled, [text[-1] for text in inputs.ids])
    elif is_layer:
        dy = _projection(unrolled, check_random_state(random_state))
    else:
        dy = _pooled_gradient(model, unrolled, y)
    d_states = unrolled.backward(dy, d_last)
    norms = [
        [_mean_norms(d, unrolled.lengths, trace.is_reverse) for d in of_trace]
        for of_trace, trace in zip(d_states, unrolled.traces, strict=True)
    ]
    return GradientFlow(np.swapaxes(norms, 0, 1), inputs.layer.cell.states, direction_names(inputs.layer))


def _projection(unrolled, random_state):
    """Return the gradient (T, B, output_size) of a random projection of the last outputs."""
    layer, lengths = unrolled.layer, unrolled.lengths
    ends = [] if layer.reverse else [lengths - 1]
    if layer.reverse or layer.bidirectional:
        ends.append(np.zeros_like(lengths))
    vector = random_state.standard_normal((len(ends), layer.output_size))
    vector /= np.linalg.norm(vector)
    dy = np.zeros_like(unrolled.y)
    for end, part in zip(ends, vector, strict=True):
        dy[end, np.arange(len(lengths))] += part
    return dy


def _loss_gradient(output, unrolled, targets):
    """Return the gradient (T, B, H) of -log p of a target after the last step of each text."""
    dy, texts, last = np.zeros_like(unrolled.y), np.arange(len(targets)), unrolled.lengths - 1
    x = unrolled.y[last, texts]  # (B, H)
    if not hasattr(output, "logit_map"):  # an adaptive softmax
        _, dx = copy.deepcopy(output).loss_and_gradient(x, np.array(targets))  # the model's is only read
        dy[last, texts] = output.backend.to_numpy(dx)
        return dy
    weight, bias = (output.backend.to_numpy(part).astype(np.float64) for part in output.logit_map())
    logits = x @ weight.T + bias  # (B, V)
    d_logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    d_logits /= d_logits.sum(axis=1, keepdims=True)
    d_logits[texts, targets] -= 1
    dy[last, texts] = d_logits @ weight
    return dy


def _translation_gradient(model, X, y, step):
    """Return the gradients of the loss of targets by the outputs (S, B, M) of a translator's encoder and last states.

    The last states are a list of arrays (layers · directions, B, H), as `Unrolled.backward` takes them.
    """
    pairs, network = model.pairs(X, y), model.network_.without_noise()
    batch = pairs.batch(pairs.rows)
    targets, lengths = batch.targets, batch.lengths
    if step is not None:
        place = lengths + step if step < 0 else np.full_like(lengths, step)
        if (place < 0).any() or (place >= lengths).any():
            raise ValueError(
                f"step must be the place of a token in each target, got {step} and {lengths.min()} tokens."
            )
        targets = np.where(np.arange(len(targets))[:, np.newaxis] == place, targets, IGNORED)
    network.head.layer.label_smoothing = 0.0
    h, _ = network.encode_training(batch)
    _, dh = network.head.loss_and_gradient(h, targets, 1.0, lengths)
    d_memory, d_summary = network.decode_backward(dh)
    to_numpy, layer = network.backend.to_numpy, network.recurrent
    d_last = [to_numpy(part).astype(np.float64) for part in state_parts(network.last_state_gradient(d_summary))]
    shape = max(pairs.sequences.lengths.max(), 1), len(lengths), layer.output_size
    return np.zeros(shape) if d_memory is None else to_numpy(d_memory).astype(np.float64), d_last


def _pooled_gradient(model, unrolled, y):
    """Return the gradient (T, B, H) of the sum of the losses of a classifier or regressor."""
    network, target, lengths = model.network_, model.learned.target, unrolled.lengths
    kept = network.layers["pooling"]
    pooling = Pooling(kept.size, kept.pooling, kept.bidirectional, dtype="float64", n_jobs=kept.n_jobs)
    pooling.load_state_dict(kept)
    h = on_host(pooling, pooling.forward(unrolled.y, lengths, training=True))
    weight, bias = (network.get_arrays()[f"output.{name}"].astype(np.float64) for name in ("weight", "bias"))
    outputs = h @ weight.T + bias
    return on_host(pooling, pooling.backward(_output_gradient(target, network.head, outputs, y) @ weight))


def _output_gradient(target, head, outputs, y):
    """Return the gradient (B, K) of the sum of the losses by the outputs."""
    if y is None and target.kind == "values":
        return np.ones_like(outputs)
    if y is None:
        targets = outputs.argmax(axis=1) if target.kind == "classes" else (outputs > 0).astype(np.float64)
    else:
        targets = target.encode(y)
    if len(targets) != len(outputs):
        raise ValueError(f"y must have as many elements as X, {len(outputs)}, got {len(targets)}.")
    ops = head.layer.backend
    outputs = ops.asarray(outputs)
    d_outputs = ops.empty_like(outputs)
    head.loss_of_outputs(d_outputs, outputs, targets, np.ones(len(targets)))
    return ops.to_numpy(d_outputs)


def _mean_norms(d_state, lengths, is_reverse):
    """Return the norms at each lag (T,) of gradients (T, B, n) by a state after each step."""
    norms = np.linalg.norm(d_state, axis=2)
    lags = np.arange(len(norms))[:, None]
    places = np.where(lags < lengths, lags if is_reverse else lengths - 1 - lags, 0)  # (lag, B)
    by_lag = np.where(lags < lengths, norms[places, np.arange(len(lengths))], 0)
    return by_lag.sum(axis=1) / (lags < lengths).sum(axis=1)


class GradientFlowDisplay(Display):
    """Chart of the norm of the gradient against the lag.

    Use `from_estimator`; give it the axes of the display before to see several models on one chart.

    Parameters
    ----------
    flow : GradientFlow
    name : str
        The model's name in the legend.
    state : str, default="h"
        Which of the states.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each layer and direction.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from fastrnn.inspection import GradientFlowDisplay
    >>> from fastrnn.layers import GRU, RNN
    >>> import numpy as np
    >>> x = np.zeros((50, 1, 2))
    >>> display = GradientFlowDisplay.from_estimator(RNN(2, 16), x)  # doctest: +SKIP
    >>> GradientFlowDisplay.from_estimator(GRU(2, 16), x, ax=display.ax_)  # doctest: +SKIP
    """

    def __init__(self, flow, name, state="h"):
        check_choice("state", state, flow.states)
        super().__init__(flow, name)
        self.flow = flow
        self.state = state

    @classmethod
    def from_estimator(cls, estimator, X, *, y=None, step=None, state="h", random_state=None, name=None, ax=None,
                       **kwargs):  # fmt: skip
        """Compute the gradient flow of a model and draw it.

        Parameters
        ----------
        estimator, X, y, step, random_state
            As `model`, X, y, `step` and `random_state` of `gradient_flow`.
        state : str, default="h"
            Which of the states.
        name : str or None, default=None
            The model's name in the legend; None takes its cell's, and that of a translator's attention.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of matplotlib's ``plot``.

        Returns
        -------
        GradientFlowDisplay
        """
        flow = gradient_flow(estimator, X, random_state, y, step)
        return cls(flow, default_name(estimator) if name is None else name, state).plot(ax, **kwargs)

    def _draw(self, ax, **kwargs):
        ax, lines = new_axes(ax), []
        norms = self.flow.norms[self.flow.states.index(self.state)]
        for k, (label, values) in enumerate(zip(self.flow.names, norms, strict=True)):
            label = self.name if len(norms) == 1 else f"{self.name}, {label}"
            lags = np.flatnonzero(values > 0)  # norms that underflowed have no place on a logarithmic axis
            lines.append((lags, values[lags], {"linestyle": ("-", "--", "-.", ":")[k % 4], "label": label}))
        self.lines_ = draw_lines(ax, lines, kwargs)
        ax.set_yscale("log")
        finish(ax, "lag: steps back from the end of the sequence", f"norm of dL/d{self.state}")
        return ax
