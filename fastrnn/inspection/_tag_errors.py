"""The errors of a tagger by their type: of entities, or of tags one by one."""

from typing import NamedTuple

import numpy as np

from fastrnn.inspection._display import Display, set_title
from fastrnn.inspection._inputs import last_step
from fastrnn.inspection._matrix import draw_matrix
from fastrnn.metrics.tags import check_lengths, check_pairs, have_spans
from fastrnn.text.schemes import SCHEMES, find_scheme, spans
from fastrnn.utils.checks import check_choice
from fastrnn.utils.html import table
from fastrnn.utils.tables import text_table

KINDS = ("correct", "wrong type", "wrong boundary", "wrong type and boundary", "missed", "spurious")


class TagError(NamedTuple):
    """One error.

    Attributes
    ----------
    sequence : int
    kind : str
        One of "wrong type", "wrong boundary", "wrong type and boundary", "missed" and "spurious".
    true, predicted : (int, int, str) or None
        First element, the one after the last, and type; None where there is nothing.
    """

    sequence: int
    kind: str
    true: tuple | None
    predicted: tuple | None


class TagErrors(NamedTuple):
    """Result of `tag_errors`. ``print`` and a notebook show the counts of each kind of error as a table.

    Attributes
    ----------
    names : list of str, K
        Types of entities, or tags, sorted.
    confusion : int64 array (K + 1, K + 1)
        ``confusion[i, j]``: how many of type i were predicted as type j, with the right boundaries or with others. The
        last column counts missed entities, the last row spurious ones; both are 0 for tags one by one.
    kinds : dict of str to int64 array (K,)
        How many of each type are "correct", have a "wrong type", a "wrong boundary" or both, are "missed", or are
        "spurious". Spurious ones are counted by the predicted type, all others by the true type.
    errors : list of TagError
        All errors, by sequence and place.
    of_entities : bool
    """

    names: list
    confusion: np.ndarray
    kinds: dict
    errors: list
    of_entities: bool

    def __str__(self):
        return text_table(self._table())

    def _repr_html_(self):
        return table(self._table(), self._title())

    def _title(self):
        n = len(self.errors)
        return f"{n:,} error{'s' * (n != 1)}, {self.kinds['correct'].sum():,} correct"

    def _table(self):
        """Return the rows as lists of str, the heading first."""
        kinds = [kind for kind in KINDS if self.of_entities or kind in ("correct", "wrong type")]
        rows = [["type" if self.of_entities else "tag", *kinds]]
        rows += [[str(name), *(f"{self.kinds[kind][place]:,}" for kind in kinds)]
                 for place, name in enumerate(self.names)]  # fmt: skip
        return [*rows, ["all", *(f"{self.kinds[kind].sum():,}" for kind in kinds)]]

    def plot(self, ax=None, **kwargs):
        """Draw the confusion; see `TagErrorsDisplay.plot`."""
        return TagErrorsDisplay(self).plot(ax, **kwargs)


def tag_errors(y_true, y_pred, *, scheme="auto"):
    """Return the errors of predicted tags by their type.

    A true entity and a predicted one belong together if they have the same boundaries, or else if they overlap, those
    first that have most elements in common. What is left is missed or spurious (the kinds of Manning, "Doing named
    entity recognition? Don't optimize for F1", 2006).

    Parameters
    ----------
    y_true, y_pred : list of sequences of tags, or list of lists of (begin, end, type)
        The tags of each sequence, or the spans of each text.
    scheme : {"auto", "iob1", "iob2", "bioes", "bilou", "bmes", None}, default="auto"
        How tags write entities; None compares tags one by one, and "auto" does so if they write no entities, as parts
        of speech do.

    Returns
    -------
    TagErrors

    Raises
    ------
    ValueError
        The lengths differ: the message names the first sequence.

    Examples
    --------
    >>> from fastrnn.inspection import tag_errors
    >>> y_true = [["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG"]]
    >>> y_pred = [["B-PER", "O", "O", "B-ORG", "O", "O"]]
    >>> result = tag_errors(y_true, y_pred)
    >>> [(error.kind, error.true, error.predicted) for error in result.errors][:2]
    [('wrong boundary', (0, 2, 'PER'), (0, 1, 'PER')), ('wrong type', (3, 4, 'LOC'), (3, 4, 'ORG'))]
    >>> result.errors[2].kind
    'missed'
    """
    y_true, y_pred = check_pairs(y_true, y_pred)
    check_choice("scheme", scheme, ("auto", None, *SCHEMES))
    if have_spans(y_true) or have_spans(y_pred):
        y_true, y_pred = ([[tuple(span) for span in spans] for spans in y] for y in (y_true, y_pred))
    else:
        check_lengths(y_true, y_pred)
        if scheme == "auto":
            scheme = find_scheme(y_true) or find_scheme(y_pred)
        if scheme is None:
            return _counted([_side_by_side(*tags) for tags in zip(y_true, y_pred, strict=True)], of_entities=False)
        y_true, y_pred = spans(y_true, scheme), spans(y_pred, scheme)
    return _counted([_paired(*found) for found in zip(y_true, y_pred, strict=True)], of_entities=True)


def _side_by_side(true, predicted):
    """Return the pairs of the tags of one sequence, as spans of one element."""
    return [((i, i + 1, a), (i, i + 1, b)) for i, (a, b) in enumerate(zip(true, predicted, strict=True))]


def _paired(true, predicted):
    """Return pairs of true and predicted spans of one sequence, None in place of a missing one, by their begins."""
    overlaps = []  # those with the same boundaries first, then those that have most in common
    for i, (begin, end, _) in enumerate(true):
        for j, (other_begin, other_end, _) in enumerate(predicted):
            common = min(end, other_end) - max(begin, other_begin)
            if common > 0:
                overlaps.append(((begin, end) != (other_begin, other_end), -common, i, j))
    partner, taken = {}, set()
    for *_, i, j in sorted(overlaps):
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    pairs = [(span, predicted[partner[i]] if i in partner else None) for i, span in enumerate(true)]
    pairs += [(None, span) for j, span in enumerate(predicted) if j not in taken]
    return sorted(pairs, key=lambda pair: (pair[0] or pair[1])[:2])


def _kind(true, predicted):
    """Return the kind of a pair, one of `KINDS`."""
    if predicted is None:
        return "missed"
    if true is None:
        return "spurious"
    wrong = [name for name, is_wrong in
             (("type", true[2] != predicted[2]), ("boundary", true[:2] != predicted[:2])) if is_wrong]  # fmt: skip
    return "wrong " + " and ".join(wrong) if wrong else "correct"


def _counted(sequences, of_entities):
    """Return the `TagErrors` of the pairs of each sequence."""
    names = sorted({span[2] for pairs in sequences for pair in pairs for span in pair if span is not None})
    place = {name: number for number, name in enumerate(names)}
    confusion = np.zeros((len(names) + 1, len(names) + 1), np.int64)
    kinds = {kind: np.zeros(len(names), np.int64) for kind in KINDS}
    errors = []
    for sequence, pairs in enumerate(sequences):
        for true, predicted in pairs:
            kind = _kind(true, predicted)
            row, column = (-1 if span is None else place[span[2]] for span in (true, predicted))
            confusion[row, column] += 1
            kinds[kind][column if true is None else row] += 1
            if kind != "correct":
                errors.append(TagError(sequence, kind, true, predicted))
    return TagErrors(names, confusion, kinds, errors, of_entities)


class TagErrorsDisplay(Display):
    """Image of what was predicted in place of what: a confusion matrix of types of entities, or of tags.

    Parameters
    ----------
    result : TagErrors
    name : str, default=""
        The model's name in the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, X, y, *, scheme="auto", name=None, ax=None, **kwargs):
        """Predict with a tagger, and draw its errors.

        Parameters
        ----------
        estimator : CRFTagger or RNNTagger, or a pipeline or search that ends in one
            Fitted.
        X, y
            As in the tagger's ``score``.
        scheme : str or None, default="auto"
            As in `tag_errors`.
        name : str or None, default=None
            The model's name in the title; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        **kwargs
            Options of `plot`.

        Returns
        -------
        TagErrorsDisplay
        """
        name = type(last_step(estimator)[0]).__name__ if name is None else name
        return cls.from_predictions(y, estimator.predict(X), scheme=scheme, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, y_true, y_pred, *, scheme="auto", name="", ax=None, **kwargs):
        """Draw the errors of predicted tags.

        Parameters
        ----------
        y_true, y_pred, scheme
            As in `tag_errors`.
        name, ax, **kwargs
            As in `from_estimator`.

        Returns
        -------
        TagErrorsDisplay
        """
        return cls(tag_errors(y_true, y_pred, scheme=scheme), name).plot(ax, **kwargs)

    def plot(self, ax=None, *, normalize=True, **kwargs):
        """Draw the matrix: a row for each true type, a column for each predicted one.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.
        normalize : bool, default=True
            Whether colours show shares of the row, so that rare types are seen as well as frequent ones.
        **kwargs
            Options of matplotlib's ``imshow``.

        Returns
        -------
        TagErrorsDisplay
        """
        return super().plot(ax, normalize=normalize, **kwargs)

    def _draw(self, ax, normalize, **kwargs):
        result, counts = self.result, self.result.confusion
        names = [str(name) for name in result.names]
        if result.of_entities:
            rows, columns = [*names, "(spurious)"], [*names, "(missed)"]
        else:
            counts, rows, columns = counts[:-1, :-1], names, names
        values = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalize else counts
        label = "share of the row" if normalize else "entities" if result.of_entities else "elements"
        ax, self.image_ = draw_matrix(ax, values, rows, columns, label=label, form="{}", written=counts, **kwargs)
        ax.set(xlabel="predicted", ylabel="true")
        set_title(ax, ", ".join(filter(None, [self.name, result._title()])))
        return ax
