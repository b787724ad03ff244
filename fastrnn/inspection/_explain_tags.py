"""Explanations of one label of one element: contributions of the element's attributes, or of all elements."""

from typing import NamedTuple

import numpy as np

from fastrnn.inspection._coloured_text import draw_text, printable, separator
from fastrnn.inspection._display import draw_bars, set_title
from fastrnn.inspection._integrated_gradients import mean_gradient
from fastrnn.inspection._taggers import number_of, read_sequence
from fastrnn.inspection._transitions import transition_weights
from fastrnn.networks.sequence import Batch
from fastrnn.utils.checks import shown
from fastrnn.utils.html import coloured_text, table

_SHOWN = 20  # attributes in a table or chart


class TagExplanation(NamedTuple):
    """Result of `explain` for a tagger: why one element has one label.

    A notebook shows contributions as a table of attributes, or as the sequence on blue (for the label) and red (against
    it).

    Attributes
    ----------
    names : list of str (n,)
        The attributes of the element for a `CRFTagger`, the elements of the sequence for an `RNNTagger`: tokens, or
        numbers of steps.
    contributions : float64 array (n,)
        The addition of each to the score of the label. They add up to the difference of `output` and `baseline`.
    place : int
        The element.
    label : object
    output : float
        The score of the label at this element (the emission of a CRF, the logit of a softmax).
    baseline : float
        The score without attributes, or for a sequence of unknown words or of means of the training series.
    probability : float
        The probability of the label at this element; with a CRF its marginal.
    before, after : (object, float) or None
        With a CRF, the label that is predicted for the element before or after this one, and the weight of the
        transition from or to it. None at the ends of the sequence.
    of_elements : bool
        Whether `names` are the elements of the sequence.
    """

    names: list
    contributions: np.ndarray
    place: int
    label: object
    output: float
    baseline: float
    probability: float
    before: tuple | None
    after: tuple | None
    of_elements: bool

    def _title(self):
        return f"{self.label} at {self.place}: {self.output:+.3f}, probability {self.probability:.3f}"

    def _rows(self):
        """Return names and contributions as they are listed: elements in their order, attributes by their sizes."""
        order = range(len(self.names))
        if not self.of_elements:
            order = np.argsort(-abs(self.contributions), kind="stable").tolist()
        rows = [(printable(self.names[i]), float(self.contributions[i])) for i in order]
        if self.baseline:
            rows.append(("without tokens" if self.of_elements else "without attributes", self.baseline))
        if self.before is not None:
            rows.append((f"{self.before[0]} → {self.label}", self.before[1]))
        if self.after is not None:
            rows.append((f"{self.label} → {self.after[0]}", self.after[1]))
        return rows

    def __str__(self):
        rows = self._rows()
        width = max(len(name) for name, _ in rows) if rows else 0
        return "\n".join([self._title(), *(f"{name:<{width}} {value:+.3f}" for name, value in rows)])

    def _repr_html_(self):
        if not self.of_elements:
            rows = [(name, f"{value:+.3f}") for name, value in self._rows()]
            return table([["attribute", "contribution"], *map(list, rows)], self._title())
        shares = self.contributions / (abs(self.contributions).max(initial=0) or 1.0)
        tips = [f"{value:+.4g}" for value in self.contributions]
        names = [printable(name) for name in self.names]
        return coloured_text(names, shares, tips, self._title(), separator(self.names))

    def plot(self, ax=None, *, width=80, cmap="RdYlGn"):
        """Draw the sequence, coloured by the contributions, or bars of the attributes that contribute most.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the size that is needed.
        width : int, default=80
            Characters in a line of a sequence.
        cmap : str or matplotlib Colormap, default="RdYlGn"
            Of a sequence.

        Returns
        -------
        matplotlib Axes
        """
        if self.of_elements:
            return draw_text(ax, self.names, self.contributions, self._title(), width=width, cmap=cmap)[0]
        rows = self._rows()[:_SHOWN]
        ax, _ = draw_bars(ax, *zip(*rows, strict=True), "contribution")
        set_title(ax, self._title())
        return ax


def explain_tag(model, sequence, place, target, n_steps):
    """Return the `TagExplanation` of one element of a sequence; the arguments are those of `explain`."""
    read = read_sequence(model, sequence)
    tagger, n = read.model, len(read.labels)
    if isinstance(place, bool) or not isinstance(place, int | np.integer) or not -n <= place < n:
        raise ValueError(f"place must be the number of an element, an integer from 0 to {n - 1}, got {shown(place)}.")
    place = int(place) % n
    labels, path = tagger._target.inner, tagger._paths(read.X).values
    k = int(path[place]) if target is None else number_of(target, labels, "target")
    transitions = transition_weights(tagger)
    before = after = None
    if transitions is not None:
        before = (labels[path[place - 1]], float(transitions[1][path[place - 1], k])) if place else None
        after = (labels[path[place + 1]], float(transitions[1][k, path[place + 1]])) if place < n - 1 else None
    is_network = hasattr(tagger, "network_")
    contributions = _of_elements if is_network else _of_attributes
    names, values, baseline = contributions(tagger, read, place, k, n_steps)
    output, probability = (float(scores(read.X).values[place, k]) for scores in (tagger._emissions, tagger._marginals))
    return TagExplanation(names, values, place, labels[k], output, baseline, probability, before, after, is_network)


def _of_attributes(tagger, read, place, k, n_steps):
    """Return the names of an element's attributes, and what each adds to the score of label k."""
    sequences = tagger._read(read.X)
    mine = slice(*sequences.element_offsets[place : place + 2])
    attributes, labels, values = tagger._weights.pairs()
    weights = np.zeros(len(tagger._reader))
    weights[attributes[labels == k]] = values[labels == k]
    ids, names = sequences.attributes[mine], tagger._reader.attributes
    amounts = 1.0 if sequences.values is None else sequences.values[mine]
    return [names[i] for i in ids], weights[ids] * amounts, 0.0


def _of_elements(tagger, read, place, k, n_steps):
    """Return the elements of a sequence, and what each adds to output k at one place, by integrated gradients."""
    network = tagger.network_.without_noise()
    if np.any(getattr(network.layers["recurrent"], "zoneout", 0.0)):
        raise ValueError("model must have zoneout=0: its gradient at prediction is not computed.")
    x, lengths = network.embed_batch(Batch(tagger._read(read.X), np.zeros(1, int)))
    x = network.backend.to_numpy(x)  # (T, 1, D)
    baseline = float(network.head.outputs(network.read(0 * x, lengths), lengths)[place, 0, k])

    def gradient(scaled, lengths):
        h = network.read(scaled, lengths, True)
        dh = np.zeros(h.shape, h.dtype)
        dh[place] = weight
        return network.backend.to_numpy(network.read_backward(network.backend.asarray(dh, h.dtype), 0.0))

    weight = _row(network, network.recurrent.output_size, k, x.dtype)
    names = list(map(str, range(len(x)))) if read.tokens is None else read.tokens
    return names, (mean_gradient(x, lengths, n_steps, gradient) * x[:, 0]).sum(axis=1), baseline


def _row(network, size, k, dtype):
    """Return the weights of output k, (H,): outputs are a linear function of the vectors."""
    units = np.concatenate([np.zeros((1, size)), np.eye(size)]).astype(dtype)
    outputs = network.head.outputs(network.backend.asarray(units[None], dtype))[0, :, k]
    return outputs[1:] - outputs[0]
