import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.metrics import character_error_rate, edit_distance, exact_match, token_error_rate, word_error_rate

TEXTS = st.lists(st.text("abc ", max_size=8), min_size=3, max_size=3)


def reference_distance(a, b):
    """Return the edit distance by its recursive definition, with the whole table of distances."""
    table = np.empty((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + (x != y))
    return table[-1, -1]


@given(st.lists(st.tuples(st.text("abc", max_size=9), st.text("abc", max_size=9)), max_size=20))
def test_edit_distance_is_that_of_its_definition(pairs):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    expected = [reference_distance(x, y) for x, y in pairs]
    assert edit_distance(a, b).tolist() == expected
    assert edit_distance(list(map(list, a)), list(map(tuple, b))).tolist() == expected
    integers = [[np.array([ord(c) * 10**12 for c in text], np.int64) for text in y] for y in (a, b)]
    assert edit_distance(*integers).tolist() == expected


@given(TEXTS)
def test_edit_distance_is_a_metric(texts):
    a, b, c = texts
    ab, ba, bc, ac, aa = edit_distance([a, b, b, a, a], [b, a, c, c, a])
    assert (ab == 0) == (a == b)
    assert aa == 0
    assert ab == ba
    assert ac <= ab + bc
    assert abs(len(a) - len(b)) <= ab <= max(len(a), len(b))


@given(st.text(max_size=20), st.text(max_size=5), st.integers(0, 20))
def test_an_insertion_costs_its_length(text, inserted, place):
    assert edit_distance([text], [text[:place] + inserted + text[place:]]).tolist() == [len(inserted)]


def test_characters_beyond_the_basic_plane():
    assert edit_distance(["a😀\ud800", "日本"], ["a\ud800", "日木"]).tolist() == [1, 1]


def test_rates_are_edits_by_the_sum_of_reference_lengths():
    y_true = ["the cat sat", "on", ""]
    y_pred = ["a cat sat", "on the mat", "x"]
    assert word_error_rate(y_true, y_pred) == (1 + 2 + 1) / 4
    assert token_error_rate(y_true, y_pred) == 1
    assert token_error_rate([text.split() for text in y_true], [text.split() for text in y_pred]) == 1
    assert character_error_rate(y_true, y_pred) == (3 + 8 + 1) / 13
    assert character_error_rate(["ab"], ["ab"]) == 0


def test_the_closest_of_several_references_counts():
    assert word_error_rate([["the cat sat down", "a cat sat"], "on it"], ["a cat sits", "on"]) == (1 + 1) / (3 + 2)
    assert character_error_rate([["abcd", "xy"], ["q"]], ["abd", "q"]) == 1 / 5
    assert token_error_rate([[["a", "b"], ["c"]], [["d"]]], [["c"], ["e"]]) == 1 / 2


def test_exact_match():
    assert exact_match(["a b", "c"], ["a b", "C"]) == 0.5
    assert exact_match([["a", "b"], ("c",), np.array([])], [("a", "b"), ["c", "d"], []]) == pytest.approx(2 / 3)
    assert exact_match([np.array([1, 2]), [3]], [[1, 2], [4]]) == 0.5
    assert exact_match([["a", "b"], ["c"], "d"], ["b", "d", "d"]) == pytest.approx(2 / 3)  # several references
    assert exact_match([[["a"], ["b", "c"]], [["d"]]], [["b", "c"], ["a"]]) == 0.5


@pytest.mark.parametrize("rate", [token_error_rate, word_error_rate, character_error_rate, exact_match])
def test_nothing_to_compare(rate):
    assert np.isnan(rate([], []))


def test_references_without_tokens():
    assert np.isnan(token_error_rate([[]], [["a"]]))
    assert edit_distance([], []).tolist() == []


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (["a"], ["a", "b"], "y_true and y_pred must be as many sequences, got 1 and 2."),
        ("abc", ["abc"], "y_true must be a list of texts or of lists of tokens, got 'abc'."),
        (
            [[["a"]]],
            [["a"]],
            "y_true and y_pred must hold strings, integers or other hashable tokens: unhashable type: 'list'.",
        ),
        (["abc"], 3, "y_pred must be a list of texts or of lists of tokens, got 3."),
        (["abc", 3], ["a", "b"], "y_true[1] must be a text or a list of tokens, got 3."),
        (["abc", ["a"]], ["a", "b"], "y_true must be texts only or lists of tokens only, got 'abc' and ['a']."),
        (
            ["abc"],
            [["a", "b"]],
            "y_true and y_pred must both be texts or both be lists of tokens, got 'abc' and ['a', 'b'].",
        ),
    ],
)
def test_bad_sequences(y_true, y_pred, message):
    with pytest.raises(ValueError) as error:
        edit_distance(y_true, y_pred)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (["a"], ["a", "b"], "y_true and y_pred must be as many sequences, got 1 and 2."),
        ("abc", ["abc"], "y_true must be a list of texts or of lists of tokens, got 'abc'."),
        (["a", []], ["a", "b"], "y_true[1] must be a text or several, as y_pred[1] is, got []."),
        (["a"], [["a"]], "y_true[0] must be a list of tokens or several, as y_pred[0] is, got 'a'."),
        ([["a", 1]], ["a"], "y_true[0][1] must be a text or a list of tokens, got 1."),
    ],
)
def test_bad_references(y_true, y_pred, message):
    with pytest.raises(ValueError) as error:
        exact_match(y_true, y_pred)
    assert str(error.value) == message


@pytest.mark.parametrize("rate", [word_error_rate, character_error_rate])
def test_rates_of_texts_refuse_lists_of_tokens(rate):
    with pytest.raises(ValueError, match=r"compares texts, got lists of tokens as \['a'\]: token_error_rate compares"):
        rate([["a"]], [["a"]])
