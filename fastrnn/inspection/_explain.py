"""Explanations of predictions: the contributions of words, or of the steps of a series."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.estimators.base import BaseSequenceEstimator
from fastrnn.inspection._coloured_text import draw_text, printable, separator
from fastrnn.inspection._display import new_axes, set_title
from fastrnn.inspection._explain_tags import explain_tag
from fastrnn.inspection._inputs import check_one, last_step
from fastrnn.inspection._integrated_gradients import mean_gradient, path_shares
from fastrnn.networks.sequence import Batch, MeanEmbeddingNetwork
from fastrnn.tagging.base import BaseTagger
from fastrnn.text.tokens import UNK_ID
from fastrnn.utils.checks import check_positive_integer, shown
from fastrnn.utils.html import coloured_text
from fastrnn.utils.use import reads

_ANSI = {True: "\x1b[42m", False: "\x1b[41m"}  # backgrounds: green for, red against
_FAINT = 0.1  # below this share of the largest contribution a word has no background


class Explanation(NamedTuple):
    """Result of `explain`. A notebook shows it as the text: on blue, words for the class; on red, words against.

    Attributes
    ----------
    tokens : list of str or None
        The words of the text; None for a series.
    contributions : ndarray (T,) or (T, D)
        The addition of each word, or of each number of a series, to the output.
    target : object
        The class, label number or output number that is explained.
    output : float
        The output: the logit of a class or label, or the number that a regressor predicts.
    baseline : float
        The output for a text of unknown words, or for a series that has the mean of the training series at each step;
        the contributions add up to the difference.
    """

    tokens: list | None
    contributions: np.ndarray
    target: object
    output: float
    baseline: float

    @property
    def _steps(self):
        """The words or the numbers of the steps, and the contribution of each."""
        if self.tokens is None:
            return list(map(str, range(len(self.contributions)))), self.contributions.sum(axis=1)
        return self.tokens, self.contributions

    def __str__(self):
        tokens, values = self._steps
        tokens = list(map(printable, tokens))
        width = max(map(len, tokens), default=0)
        lines = [f"{token:<{width}} {value:+.3f}" for token, value in zip(tokens, values, strict=True)]
        without = "of a mean series" if self.tokens is None else "without words"
        return "\n".join([f"{self.target}: {self.output:+.3f} ({without} {self.baseline:+.3f})", *lines])

    def _repr_html_(self):
        tokens, values = self._steps
        shares = values / (abs(values).max(initial=0) or 1.0)
        tips = [f"{value:+.4g}" for value in values]
        title = f"{self.target}: {self.output:+.3f}"
        space = " " if self.tokens is None else separator(tokens)
        return coloured_text([printable(token) for token in tokens], shares, tips, title, space)

    def to_ansi(self):
        """Return the text for a terminal: words for the class on green, words against it on red.

        A series is shown as the numbers of its steps, from 0 on.
        """
        tokens, values = self._steps
        largest = abs(values).max(initial=0)
        words = [
            f"{_ANSI[bool(value > 0)]}{token}\x1b[0m" if abs(value) > _FAINT * largest else token
            for token, value in zip(map(printable, tokens), values, strict=True)
        ]
        return " ".join(words)

    def plot(self, ax=None, *, width=80, cmap="RdYlGn"):
        """Draw the text, coloured by the contributions, or a series as an image of features (rows) and steps (columns).

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the height that the text needs.
        width : int, default=80
            Characters in a line.
        cmap : str or matplotlib Colormap, default="RdYlGn"

        Returns
        -------
        matplotlib Axes
        """
        if not len(self.contributions):
            raise ValueError("The text or series is empty.")
        title = f"{self.target}: {self.output:+.2f}"
        if self.tokens is not None:
            return draw_text(ax, self.tokens, self.contributions, title, width=width, cmap=cmap)[0]
        ax = new_axes(ax)
        largest = abs(self.contributions).max() or 1.0
        image = ax.imshow(self.contributions.T, cmap, vmin=-largest, vmax=largest, aspect="auto",
                          interpolation="nearest")  # fmt: skip
        ax.figure.colorbar(image, ax=ax, pad=0.01)
        ax.set(xlabel="step", ylabel="feature", yticks=range(self.contributions.shape[1]))
        set_title(ax, title)
        return ax


@reads
def explain(model, text, target=None, n_steps=64, *, place=None):
    """Return the contribution of each word of a text, or of each step of a series, to a prediction.

    For a tagger: to the score of one label of one element. The attributes of the element contribute to that of a
    `CRFTagger`, each by its weight; all elements of the sequence contribute to that of an `RNNTagger`.

    Integrated gradients (Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017): the
    gradient of the output with respect to the words' vectors, averaged on the path from zeros (the vector of an unknown
    word) to the vectors. An n-gram's share is divided equally among its words. The path to a series begins at the mean
    of the training series.

    Parameters
    ----------
    model : classifier, regressor or tagger of fastrnn, or a pipeline or search that ends in one
        Fitted, without zoneout.
    text : str, list of str, or ndarray (T, D) or (T,)
        One text, sequence or series, as the model reads it, or as the pipeline does.
    target : object, default=None
        The class or label whose output is explained (or the number of a label or output); None takes the predicted one.
    n_steps : int, default=64
        Points of the path at which the gradient is taken.
    place : int, default=None
        For a tagger, the number of the element; those below 0 count from the end.

    Returns
    -------
    Explanation, or TagExplanation for a tagger

    Examples
    --------
    >>> from fastrnn import MeanEmbeddingClassifier
    >>> from fastrnn.inspection import explain
    >>> texts, labels = ["a fine film", "truly fine", "a dull film", "so dull"] * 5, ["pos", "pos", "neg", "neg"] * 5
    >>> model = MeanEmbeddingClassifier(learning_rate_init=0.05, max_iter=10, random_state=0).fit(texts, labels)
    >>> result = explain(model, "a fine story")
    >>> result.target, result.tokens[result.contributions.argmax()]
    ('pos', 'fine')
    """
    check_positive_integer("n_steps", n_steps)
    if isinstance(last_step(model)[0], BaseTagger):
        return explain_tag(model, text, place, target, n_steps)
    if place is not None:
        raise ValueError(f"place must be None for a model that is no tagger, got {shown(place)}.")
    check_one(model, text)
    model, (text,) = last_step(model, [text])
    if not isinstance(model, BaseSequenceEstimator):
        raise TypeError(
            f"model must be a classifier or regressor of fastrnn, got {type(model).__name__}: a tagger will do too."
        )
    check_is_fitted(model, "network_")
    return _explain_whole(model, text, target, n_steps)


def _explain_whole(model, text, target, n_steps):
    """Return the `Explanation` of a classifier's or regressor's output for one text or series."""
    reader = model.learned.reader
    if reader.options.get("input") == "text" and not isinstance(text, str):
        raise ValueError(f"text must be one string for a model with input='text', got {shown(text)}.")
    if np.any(getattr(model.network_.layers.get("recurrent"), "zoneout", 0.0)):
        raise ValueError("model must have zoneout=0: its gradient at prediction is not computed.")
    tokens = None if reader.vocabulary is None else reader.read_tokens([text])[0]
    sequences = reader.read([text])
    outputs = model._outputs([text])[0]
    classes = getattr(model, "classes_", np.arange(len(outputs)))
    place = int(outputs.argmax()) if target is None else _place(classes, target)
    network = model.network_.without_noise()
    averaged = isinstance(network, MeanEmbeddingNetwork)
    method = _bag_contributions if averaged else _recurrent_contributions
    contributions, baseline = method(model, network, sequences, place, n_steps)
    contributions = contributions if tokens is None or contributions.ndim == 1 else contributions.sum(axis=1)
    output = float(outputs[place])
    output, baseline, contributions = _in_units(model.learned.target, place, output, baseline, contributions)
    return Explanation(tokens, contributions, classes[place : place + 1].tolist()[0], output, baseline)


def _in_units(target, place, output, baseline, contributions):
    """Return output, baseline and contributions in the units of a regressor's predictions."""
    if target.kind != "values":
        return output, baseline, contributions
    mean, scale = float(target.mean[place]), float(target.scale[place])
    return output * scale + mean, baseline * scale + mean, contributions * scale


def _place(classes, target):
    found = np.flatnonzero(classes == target)
    if not len(found):
        raise ValueError(f"target must be one of {classes.tolist()}, got {shown(target)}.")
    return int(found[0])


def _gradient(network, h, place, backward):
    """Return the gradient of the sum of one output over a batch with the encodings h (B, H), on the host."""
    output = network.layers["output"].forward(h, training=True)
    d_output = np.zeros(output.shape, output.dtype)
    d_output[:, place] = 1
    return network.backend.to_numpy(backward(network.layers["output"].backward(d_output)))


def _output(network, h, place):
    """Return one output for an encoding h (1, H)."""
    return float(network.backend.to_numpy(network.layers["output"].forward(h))[0, place])


def _recurrent_contributions(model, network, sequences, place, n_steps):
    """Return the contribution of each number of a sequence's vectors (T, D), and the baseline."""
    steps, lengths = sequences.padded(np.zeros(1, int))
    x = network.backend.to_numpy(network.embed(steps))  # (T, 1, D)
    if not lengths[0]:
        return np.zeros((0, x.shape[2])), float(network.outputs(Batch(sequences, np.zeros(1, int)))[0, place])
    baseline = _output(network, network.encode_steps(0 * x, lengths), place)

    def gradient(scaled, lengths):
        h = network.encode_steps(scaled, lengths, training=True)
        return _gradient(network, h, place, network.steps_backward)

    return mean_gradient(x, lengths, n_steps, gradient) * x[:, 0], baseline


def _bag_contributions(model, network, sequences, place, n_steps):
    """Return the contribution of each word (T,) of a text, and the baseline."""
    ids = sequences.values
    reader = model.learned.reader
    bag = reader.features(sequences)
    weight = network.get_arrays()["embedding.weight"]
    mean = network.backend.to_numpy(network.embedding.forward(bag.values, bag.offsets))  # (1, D)
    baseline = _output(network, network.encode_means(0 * mean), place)
    scaled = (mean * path_shares(n_steps)[:, None]).astype(np.float32)
    h = network.encode_means(scaled, training=True)
    slope = _gradient(network, h, place, network.means_backward).mean(axis=0, dtype=np.float64)
    contributions = np.zeros(len(ids))
    values = weight[bag.values].astype(np.float64) @ slope / max(len(bag.values), 1)
    for owners, value in zip(_owners(ids, reader.options["ngram_range"]), values, strict=True):
        contributions[owners] += value / len(owners)
    return contributions, baseline


def _owners(ids, ngram_range):
    """Return the places of the words of each entry of a text's bag, in the order of `add_ngrams`."""
    owners = []
    for n in range(ngram_range[0], ngram_range[1] + 1):
        for begin in range(len(ids) - n + 1):
            if (ids[begin : begin + n] != UNK_ID).all():
                owners.append(np.arange(begin, begin + n))
    return owners
