"""Labels and classes: compared by what they say, kept apart, shown on one line."""

import numpy as np
import pytest

from fastrnn.command.labels import label_text, labels_of_one_kind, match_labels, take_label


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["b", "a", "c"], ["a", "b"], [1, 0, None]),
        (["true", "False"], [False, True], [1, 0]),
        (["TRUE", " true "], [False, True], [1, 1]),
        ([True, False], ["False", "True"], [1, 0]),
        ([True, False], ["false", "true"], [1, 0]),
        ([1.0, "2", 2], ["1", "2"], [0, 1, 1]),
        (["1", "1.0", "2e0"], [1, 2], [0, 0, 1]),
        (["1.0", 2], [1.0, 2.0], [0, 1]),
        (["1.0"], ["1", "2"], [0]),
        (["1", "01"], ["01", "1"], [1, 0]),  # equal ones come first
        ([1, True], [False, True], [None, 1]),  # 1 is a number
        (["nan", "inf", "1_0", "١"], [10, 1], [None] * 4),
        ([10**400], [1, 2], [None]),
        ([str(2**60 + 1), 2.0**60], [2**60, 2**60 + 1], [1, 0]),
        (["2020-01-02", "2020"], np.array(["2020-01-02", "2021-01-01"], "datetime64[D]"), [0, None]),
    ],
)
def test_match(labels, classes, expected):
    assert match_labels(labels, np.array(classes)) == expected


@pytest.mark.parametrize("label", [1, "1.00"])
def test_a_label_of_several_classes_is_refused(label):
    with pytest.raises(ValueError, match=r"may mean several classes of the model: '01' and '1'"):
        match_labels([label], np.array(["01", "1"]))


@pytest.mark.parametrize("value", [None, "", " \t", float("nan"), float("inf"), ["a"], {"a": 1}])
def test_what_is_no_label(value):
    assert take_label(value) is None


@pytest.mark.parametrize("value", ["a", " a", 0, 0.0, False, 10**400])
def test_what_is_a_label(value):
    assert take_label(value) is value


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([True, False], [True, False]),
        ([1, 2], [1, 2]),
        ([0.5, 1.0], ["0.5", "1.0"]),  # scikit-learn takes numbers with a fraction for no classes
        ([1, True, "a"], ["1", "true", "a"]),
        ([1, 1.0, 0.5], ["1", "1", "0.5"]),
        ([10**30, 1], [str(10**30), "1"]),
    ],
)
def test_labels_of_one_kind(labels, expected):
    result = labels_of_one_kind(labels)
    assert result == expected
    assert [*map(type, result)] == [*map(type, expected)]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (np.True_, "true"),
        (np.datetime64("2020-01-02", "ns"), "2020-01-02T00:00:00.000000000"),
        (np.str_("a"), "a"),
        (np.int64(3), "3"),
        (1.0, "1.0"),
        ("two\nlines\t", r"two\nlines\t"),
    ],
)
def test_a_label_is_shown_on_one_line(label, text):
    assert label_text(label) == text
