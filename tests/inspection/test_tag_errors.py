"""Errors of taggers by type."""

import numpy as np
import pytest

from fastrnn.inspection import TagErrorsDisplay, tag_errors
from fastrnn.metrics import entity_report

# correct, wrong type, wrong boundary, both, missed, spurious; then one true entity against two predicted ones
TRUE = [
    "B-PER I-PER O B-LOC O B-ORG I-ORG O B-LOC I-LOC O B-PER O O".split(),
    "B-ORG I-ORG I-ORG I-ORG".split(),
    [],
]
PREDICTED = [
    "B-PER I-PER O B-ORG O B-ORG O O B-PER O O O O B-LOC".split(),
    "B-PER B-ORG I-ORG I-ORG".split(),
    [],
]
EXPECTED = [
    (0, "wrong type", (3, 4, "LOC"), (3, 4, "ORG")),
    (0, "wrong boundary", (5, 7, "ORG"), (5, 6, "ORG")),
    (0, "wrong type and boundary", (8, 10, "LOC"), (8, 9, "PER")),
    (0, "missed", (11, 12, "PER"), None),
    (0, "spurious", None, (13, 14, "LOC")),
    (1, "spurious", None, (0, 1, "PER")),
    (1, "wrong boundary", (0, 4, "ORG"), (1, 4, "ORG")),
]


def test_every_kind_of_error():
    result = tag_errors(TRUE, PREDICTED)
    assert result.of_entities
    assert sorted(map(str, result.errors)) == sorted(str(type(result.errors[0])(*error)) for error in EXPECTED)
    assert [error.sequence for error in result.errors] == [0] * 5 + [1] * 2
    assert result.names == ["LOC", "ORG", "PER"]
    assert result.confusion.tolist() == [[0, 1, 1, 0], [0, 2, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]]
    assert result.kinds["correct"].tolist() == [0, 0, 1]
    assert result.kinds["spurious"].tolist() == [1, 0, 1]  # by the predicted type
    assert result.kinds["missed"].tolist() == [0, 0, 1]


def test_spans_are_compared_as_tags_are():
    y_true = [[(0, 2, "PER"), (3, 4, "LOC"), (5, 7, "ORG"), (8, 10, "LOC"), (11, 12, "PER")], [[0, 4, "ORG"]], []]
    y_pred = [[(0, 2, "PER"), (3, 4, "ORG"), (5, 6, "ORG"), (8, 9, "PER"), (13, 14, "LOC")],
              [[0, 1, "PER"], [1, 4, "ORG"]], []]  # fmt: skip
    assert str(tag_errors(y_true, y_pred)) == str(tag_errors(TRUE, PREDICTED))


def test_counts_are_those_of_the_report():
    rng = np.random.default_rng(0)
    tags = np.array(["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    y_true, y_pred = ([tags[rng.integers(6, size=n)].tolist() for n in (30, 0, 50, 1)] for _ in range(2))
    result, report = tag_errors(y_true, y_pred), entity_report(y_true, y_pred)
    for place, name in enumerate(result.names):
        row, kinds = report[name], {kind: counts[place] for kind, counts in result.kinds.items()}
        assert result.confusion[place].sum() == row["true"] == sum(kinds.values()) - kinds["spurious"]
        assert result.confusion[:, place].sum() == row["predicted"]
        assert kinds["correct"] == pytest.approx(row["recall"] * row["true"])
    assert min(counts.sum() for counts in result.kinds.values()) > 0


def test_tags_one_by_one():
    y_true, y_pred = [["DET", "NOUN", "VERB"], ["NOUN"]], [["DET", "VERB", "VERB"], ["ADJ"]]
    result = tag_errors(y_true, y_pred)
    assert not result.of_entities
    assert result.names == ["ADJ", "DET", "NOUN", "VERB"]
    assert result.confusion.tolist() == [[0] * 5, [0, 1, 0, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 1, 0], [0] * 5]
    assert [tuple(error) for error in result.errors] == [
        (0, "wrong type", (1, 2, "NOUN"), (1, 2, "VERB")),
        (1, "wrong type", (0, 1, "NOUN"), (0, 1, "ADJ")),
    ]
    assert str(result).splitlines()[-1].split() == ["all", "2", "2"]
    assert not tag_errors(TRUE, PREDICTED, scheme=None).of_entities
    assert tag_errors([np.array([1, 2])], [np.array([2, 2])]).names == [1, 2]


def test_it_is_shown_as_a_table():
    result = tag_errors(TRUE, PREDICTED)
    lines = str(result).splitlines()
    assert lines[0].split()[:2] == ["type", "correct"]
    assert lines[-1].split() == ["all", "1", "1", "2", "1", "1", "2"]
    page = result._repr_html_()
    assert "<caption>7 errors, 1 correct</caption>" in page
    assert page.count("<tr>") == 5
    assert "&lt;x&gt;" in tag_errors([["B-<x>"]], [["O"]])._repr_html_()


def test_display(pyplot):
    display = TagErrorsDisplay.from_predictions(TRUE, PREDICTED, name="$a")
    assert display.ax_.get_title(loc="left") == "$a, 7 errors, 1 correct"
    assert display.image_.get_array().shape == (4, 4)
    np.testing.assert_allclose(display.image_.get_array().sum(axis=1), 1)
    assert [text.get_text() for text in display.ax_.texts][:4] == ["0", "1", "1", "0"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()][-1] == "(spurious)"
    counts = tag_errors(TRUE, PREDICTED).plot(display.ax_, normalize=False, cmap="Reds")
    assert counts.figure_ is display.figure_
    assert counts.image_.get_array().sum() == 8
    tags = [[str(number)] for number in range(20)]
    large = TagErrorsDisplay.from_predictions(tags, tags)
    assert large.image_.get_array().shape == (20, 20)
    assert not large.ax_.texts  # too many for numbers

    class Fixed:
        def predict(self, X):
            return PREDICTED

    assert TagErrorsDisplay.from_estimator(Fixed(), None, TRUE).name == "Fixed"
    with pytest.raises(ValueError, match="There is nothing to draw"):
        TagErrorsDisplay.from_predictions([], [])


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"y_true\[1\] and y_pred\[1\] must have as many tags, got 4 and 1"):
        tag_errors(TRUE, [PREDICTED[0], ["O"], []])
    with pytest.raises(ValueError, match="scheme must be one of 'auto'"):
        tag_errors(TRUE, PREDICTED, scheme="iob")
