"""Precision, recall and F1 of entities as a table."""

from collections.abc import Mapping

from fastrnn.metrics.entities import count_entities
from fastrnn.utils.html import table
from fastrnn.utils.tables import text_table

_AVERAGES = ("micro", "macro", "weighted")
_SCORES = ("precision", "recall", "f1")


class EntityReport(Mapping):
    """Result of `entity_report`: a mapping from types, and "micro avg", "macro avg" and "weighted avg", to figures.

    ``print`` shows it as a table, and so does a notebook. The figures of a row are a dict: "precision", "recall" and
    "f1"; "true", the entities in y_true, and "predicted", those in y_pred.

    Parameters
    ----------
    counts : EntityCounts

    Attributes
    ----------
    types : list of str
        The types, sorted.
    """

    def __init__(self, counts):
        self.types = list(counts.names)
        total = counts.total()
        rows = list(zip(counts.names, counts.scores().T, counts.true, counts.predicted, strict=True))
        rows += [(f"{name} avg", counts.averaged(name), total.true[0], total.predicted[0]) for name in _AVERAGES]
        self._rows = {
            name: {
                **dict(zip(_SCORES, map(float, scores), strict=True)),
                "true": int(true),
                "predicted": int(predicted),
            }
            for name, scores, true, predicted in rows
        }

    def __getitem__(self, name):
        return self._rows[name]

    def __iter__(self):
        return iter(self._rows)

    def __len__(self):
        return len(self._rows)

    def __str__(self):
        return text_table(self._table())

    __repr__ = __str__

    def _repr_html_(self):
        return table(self._table())

    def _table(self):
        """Return the rows as lists of str, the heading first."""
        rows = [["type", *_SCORES, "true", "predicted"]]
        for name, row in self.items():
            scores = [f"{row[score]:.4f}" for score in _SCORES]
            rows.append([str(name), *scores, f"{row['true']:,}", f"{row['predicted']:,}"])
        return rows


def entity_report(y_true, y_pred, *, scheme="auto", strict=False):
    """Return precision, recall and F1 of entities by type and on average.

    Parameters
    ----------
    y_true, y_pred, scheme, strict
        As in `entity_f1`.

    Returns
    -------
    EntityReport

    Raises
    ------
    ValueError
        As `entity_f1` does.

    Examples
    --------
    >>> y_true, y_pred = [["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "B-ORG"]]
    >>> report = entity_report(y_true, y_pred)
    >>> report["PER"]["f1"], report["micro avg"]["recall"]
    (1.0, 0.5)
    >>> print(report)
    type          precision  recall      f1  true  predicted
    LOC              0.0000  0.0000  0.0000     1          0
    ORG              0.0000  0.0000  0.0000     0          1
    PER              1.0000  1.0000  1.0000     1          1
    micro avg        0.5000  0.5000  0.5000     2          2
    macro avg        0.3333  0.3333  0.3333     2          2
    weighted avg     0.5000  0.5000  0.5000     2          2
    """
    return EntityReport(count_entities(y_true, y_pred, scheme, strict))
