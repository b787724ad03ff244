"""Figures of entities beside seqeval's."""

import warnings

import numpy as np
import pytest

from fastrnn.metrics import entity_f1, entity_precision, entity_recall
from fastrnn.text.schemes import to_scheme

metrics = pytest.importorskip("seqeval.metrics")
from seqeval.scheme import IOB1, IOB2, IOBES  # noqa: E402


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize(
    ("scheme", "theirs", "letters"),
    [(None, None, "BIES"), ("iob1", IOB1, "BI"), ("iob2", IOB2, "BI"), ("bioes", IOBES, "BIES")],
)
def test_as_seqeval(average, scheme, theirs, letters):
    rng = np.random.default_rng(0)
    labels = ["O", *(f"{letter}-{kind}" for letter in letters for kind in ("PER", "LOC", "ORG"))]
    lengths = rng.integers(1, 12, 300)
    y_true, other = ([rng.choice(labels, length).tolist() for length in lengths] for _ in range(2))
    y_pred = [true if rng.random() < 0.5 else guess for true, guess in zip(y_true, other, strict=True)]
    if scheme == "iob1":  # seqeval counts a part of an ill-formed span
        y_true, y_pred = (to_scheme(y, scheme, scheme) for y in (y_true, y_pred))
    strict = {"scheme": theirs, "mode": "strict"} if theirs else {}
    names = ("precision", "recall", "f1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [getattr(metrics, f"{name}_score")(y_true, y_pred, average=average, **strict) for name in names]
    ours = [
        score(y_true, y_pred, average=average, scheme=scheme or "bioes", strict=bool(theirs))
        for score in (entity_precision, entity_recall, entity_f1)
    ]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
