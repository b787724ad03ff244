import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_validate

from fastrnn.metrics import (
    entity_f1,
    entity_f1_scorer,
    entity_precision,
    entity_precision_scorer,
    entity_recall,
    entity_recall_scorer,
    entity_report,
    tag_accuracy,
    tag_accuracy_scorer,
)
from tests.reference_spans import reference_spans

LABELS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "XYZ")]


def random_tags(rng, lengths):
    return [rng.choice(LABELS, length, p=[0.4, *[0.05] * 12]).tolist() for length in lengths]


def reference_figures(y_true, y_pred):
    """Return precision, recall and F1 of sets of spans."""
    true, predicted = (
        {(i, *span) for i, tags in enumerate(y) for span in reference_spans(tags)} for y in (y_true, y_pred)
    )
    precision, recall = (len(true & predicted) / len(spans) if spans else 0.0 for spans in (predicted, true))
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_random_sequences(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, 30)
    y_true, other = random_tags(rng, lengths), random_tags(rng, lengths)
    y_pred = [true if rng.random() < 0.5 else guess for true, guess in zip(y_true, other, strict=True)]
    figures = [score(y_true, y_pred) for score in (entity_precision, entity_recall, entity_f1)]
    np.testing.assert_allclose(figures, reference_figures(y_true, y_pred), rtol=1e-14)
    report = entity_report(y_true, y_pred)
    for kind in report.types:
        kept = [[[tag if tag.endswith(kind) else "O" for tag in tags] for tags in y] for y in (y_true, y_pred)]
        row = report[kind]
        np.testing.assert_allclose([row["precision"], row["recall"], row["f1"]], reference_figures(*kept), rtol=1e-14)
    by_type = entity_f1(y_true, y_pred, average=None)
    assert by_type.tolist() == [report[kind]["f1"] for kind in report.types]
    assert entity_f1(y_true, y_pred, average="macro") == pytest.approx(by_type.mean())
    assert report["macro avg"]["f1"] == pytest.approx(by_type.mean())
    true = [report[kind]["true"] for kind in report.types]
    assert report["weighted avg"]["f1"] == pytest.approx(np.average(by_type, weights=true))


@pytest.mark.parametrize(
    ("true", "predicted", "figures"),
    [
        ("B-X I-X O", "B-X I-X O", (1, 1, 1)),
        ("B-X I-X O", "I-X I-X O", (1, 1, 1)),  # a span begins with I- as well
        ("B-X I-X I-X", "B-X I-X O", (0, 0, 0)),
        ("B-X I-X O", "B-X I-Y O", (0, 0, 0)),
        ("B-X B-X", "B-X I-X", (0, 0, 0)),
        ("I-X I-Y", "B-X B-Y", (1, 1, 1)),
        ("S-X O B-Y E-Y", "B-X O I-Y I-Y", (1, 1, 1)),
        ("B-X O B-Y", "B-X O O", (1, 0.5, 2 / 3)),
        ("O O", "O O", (0, 0, 0)),
        ("O O", "B-X O", (0, 0, 0)),
    ],
)
def test_figures(true, predicted, figures):
    y_true, y_pred = [[], true.split()], [[], predicted.split()]
    assert (entity_precision(y_true, y_pred), entity_recall(y_true, y_pred), entity_f1(y_true, y_pred)) == figures


def test_an_entity_ends_with_its_sentence():
    assert entity_f1([["B-X"], ["I-X"]], [["B-X"], ["B-X"]]) == 1.0
    assert entity_f1([["B-X", "I-X"], ["O"]], [["B-X", "O"], ["I-X"]]) == 0.0


def test_strict():
    y_true, y_pred = [["B-X", "I-X", "O", "B-Y"]], [["B-X", "I-X", "O", "I-Y"]]
    assert entity_f1(y_true, y_pred) == 1.0
    assert entity_recall(y_true, y_pred, strict=True) == 0.5
    assert entity_precision(y_true, y_pred, strict=True) == 1.0
    assert entity_report(y_true, [["I-X", "O", "O", "B-Y"]], strict=True).types == ["X", "Y"]
    assert entity_report([["O", "B-X"]], [["I-Z", "B-X"]], strict=True).types == ["X"]


def test_runs_of_plain_tags():
    y_true, y_pred = [["a", "a", "b"], [1, 2]], [["a", "a", "c"], [1, 1]]
    assert entity_recall(y_true, y_pred, scheme=None) == 0.25
    with pytest.raises(ValueError, match=r"y_true\[0\]\[0\] must be a tag .* scheme=None makes"):
        entity_f1(y_true, y_pred)


def test_spans():
    y_true, y_pred = [[(0, 4, "X"), (5, 9, "Y")], []], [[(0, 4, "X")], [[5, 9, "Y"]]]
    assert entity_f1(y_true, y_pred) == 0.5
    assert entity_f1([[], []], y_pred) == 0.0
    assert entity_report(y_true, y_pred)["Y"] == {"precision": 0, "recall": 0, "f1": 0, "true": 1, "predicted": 1}
    with pytest.raises(ValueError, match=r"y_pred\[1\]\[0\] must be a span \(begin, end, type\), got 'O'"):
        entity_f1(y_true, [[(0, 4, "X")], ["O"]])


def test_arrays():
    y_true = [np.array(["B-X", "O"]), np.array(["O"])]
    assert entity_f1(y_true, y_true) == tag_accuracy(y_true, y_true) == 1.0
    assert tag_accuracy([np.array([1, 2]), np.array([3])], [[1, 0], [3]]) == pytest.approx(2 / 3)
    assert tag_accuracy(np.array([["a", "b"]]), np.array([["a", "a"]])) == 0.5


def test_tag_accuracy_without_tags():
    assert np.isnan(tag_accuracy([[]], [[]]))


@pytest.mark.parametrize("score", [entity_f1, entity_report, tag_accuracy])
def test_lengths(score):
    with pytest.raises(ValueError, match=r"y_true\[1\] and y_pred\[1\] must have as many tags, got 2 and 1\."):
        score([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match=r"y_true and y_pred must be as many sequences, got 1 and 2\."):
        score([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match=r"y_pred\[0\] must be a list of tags, got 'O'"):
        score([["O"]], ["O"])
    with pytest.raises(ValueError, match=r"y_pred must be lists of tags"):
        score([["O"]], "O")


def test_average_is_checked():
    with pytest.raises(ValueError, match="average must be"):
        entity_f1([["O"]], [["O"]], average="samples")


def test_report_as_table():
    report = entity_report([["B-<X>", "O"]], [["B-<X>", "B-Y"]])
    assert str(report).splitlines()[1].split() == ["<X>", "1.0000", "1.0000", "1.0000", "1", "1"]
    assert repr(report) == str(report)
    html = report._repr_html_()
    assert html.count("<tr>") == 6
    assert "&lt;X&gt;" in html
    assert list(report) == ["<X>", "Y", "micro avg", "macro avg", "weighted avg"]
    assert len(report) == 5
    assert dict(report)["micro avg"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "true": 1, "predicted": 2}


class Repeater(BaseEstimator):
    """A tagger that tags a word with its last label; it begins entities only if it may."""

    def __init__(self, begins=True):
        self.begins = begins

    def fit(self, X, y):
        self.labels_ = {
            word: tag for words, tags in zip(X, y, strict=True) for word, tag in zip(words, tags, strict=True)
        }
        return self

    def predict(self, X):
        tags = [[self.labels_.get(word, "O") for word in words] for words in X]
        return tags if self.begins else [[tag.replace("B-X", "O") for tag in sentence] for sentence in tags]


def test_scorers():
    X = [["Ann", "Lee", "ran"], ["he", "ran"], ["Ann", "ran", "home", "fast"], ["Lee"]] * 3
    y = [["B-X", "I-X", "O"], ["O", "O"], ["B-X", "O", "O", "O"], ["I-X"]] * 3
    search = GridSearchCV(Repeater(), {"begins": [False, True]}, scoring=entity_f1_scorer, cv=3).fit(X, y)
    assert (search.best_params_, search.best_score_) == ({"begins": True}, 1.0)
    scoring = {
        "precision": entity_precision_scorer,
        "recall": entity_recall_scorer,
        "accuracy": tag_accuracy_scorer,
    }
    scores = cross_validate(Repeater(False), X, y, cv=3, scoring=scoring)
    assert scores["test_precision"].tolist() == [1 / 2] * 3
    assert scores["test_recall"].tolist() == pytest.approx([1 / 3] * 3)
    assert scores["test_accuracy"].tolist() == [0.8] * 3
