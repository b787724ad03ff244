import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text.schemes import SCHEMES, allowed, find_scheme, spans, to_scheme
from tests.reference_spans import reference_spans

LABELS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "XY")]
any_tags = st.lists(st.lists(st.sampled_from(LABELS), max_size=8), max_size=4)


@given(any_tags)
def test_spans_follow_conlleval(y):
    for scheme in SCHEMES:
        assert spans(y, scheme) == [reference_spans(tags) for tags in y]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-X", [(0, 1, "X")]),
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("I-X O I-X", [(0, 1, "X"), (2, 3, "X")]),
        ("B-X E-X E-X", [(0, 2, "X"), (2, 3, "X")]),
        ("B-X S-X I-X", [(0, 1, "X"), (1, 2, "X"), (2, 3, "X")]),
        ("B I O B", [(0, 2, ""), (3, 4, "")]),
        ("U-X B-X L-X", [(0, 1, "X"), (1, 3, "X")]),
        ("B-X M-X E-X", [(0, 3, "X")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
        ("", []),
    ],
)
def test_spans(tags, expected):
    assert spans([tags.split()], "iob2") == [expected]


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        ("I-X B-X I-X I-Y B-Y", "iob2", [(1, 3, "X"), (4, 5, "Y")]),
        ("I-X B-X I-X I-Y O B-Y", "iob1", [(0, 1, "X"), (1, 3, "X"), (3, 4, "Y")]),
        ("S-X B-X E-X B-Y I-Y O I-X E-X B-Y", "bioes", [(0, 1, "X"), (1, 3, "X")]),
        ("U-X B-X L-X I-X", "bilou", [(0, 1, "X"), (1, 3, "X")]),
        ("B-X E-X", "iob2", []),
        ("I-X E-X", "iob1", []),
        ("a a b", None, [(0, 2, "a"), (2, 3, "b")]),
    ],
)
def test_strict_spans(tags, scheme, expected):
    assert spans([tags.split()], scheme, strict=True) == [expected]


def test_a_span_ends_with_its_sequence():
    assert spans([["B-X"], [], ["I-X"]]) == [[(0, 1, "X")], [], [(0, 1, "X")]]


def test_runs_of_plain_tags():
    assert spans([["a", "a", "O", "a", "b"], [1, 1]], None) == [
        [(0, 2, "a"), (3, 4, "a"), (4, 5, "b")],
        [(0, 2, 1)],
    ]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O B-X I-X", "iob2"),
        ("B-X B-X", "iob2"),
        ("I-X O I-Y B-Y", "iob1"),
        ("I-X I-X B-Y O B-Y I-Y B-X", "iob2"),  # a mistake in the first tag
        ("B-X E-X", "bioes"),
        ("S-X O", "bioes"),
        ("U-X O", "bilou"),
        ("B-X M-X E-X", "bmes"),
        ("B I O", "iob2"),
        ("B M E S", "bmes"),
        ("O O", None),
        ("", None),
        ("DET NOUN O", None),
        ("E I N", None),  # exons and introns
        ("I O M", None),  # inside, outside and across a membrane
        ("-LRB- NN", None),
        ("X-men", None),
        ("B-X U-X S-X", None),
        ("B-X I-X O-X", None),
        ("B- I- O", None),
    ],
)
def test_find_scheme(tags, scheme):
    assert find_scheme([tags.split()]) == scheme


def test_numbers_have_no_scheme():
    assert find_scheme([np.array([1, 2]), np.array([0])]) is None


@given(any_tags)
def test_schemes_write_the_same_spans(y):
    expected = [reference_spans(tags) for tags in y]
    for scheme in SCHEMES:
        written = to_scheme(y, "bioes", scheme)
        assert spans(written, scheme) == spans(written, scheme, strict=True) == expected
        assert to_scheme(to_scheme(written, scheme, "bilou"), "bilou", scheme) == written


def test_to_scheme():
    y = [["I-X", "I-X", "B-X", "I-Y", "O", "I-X"], []]
    expected = {
        "iob1": ["I-X", "I-X", "B-X", "I-Y", "O", "I-X"],
        "iob2": ["B-X", "I-X", "B-X", "B-Y", "O", "B-X"],
        "bioes": ["B-X", "E-X", "S-X", "S-Y", "O", "S-X"],
        "bilou": ["B-X", "L-X", "U-X", "U-Y", "O", "U-X"],
        "bmes": ["B-X", "E-X", "S-X", "S-Y", "O", "S-X"],
        None: ["X", "X", "X", "Y", "O", "X"],
    }
    for scheme, tags in expected.items():
        assert to_scheme(y, "iob1", scheme) == [tags, []]
    assert to_scheme([["X", "X", "O", "Y"]], None, "bioes") == [["B-X", "E-X", "O", "S-Y"]]
    assert to_scheme([["B", "I", "O"]], "iob2", "bioes") == [["B", "E", "O"]]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_paths_are_the_well_formed_ones(scheme):
    """A path that is allowed is one that the scheme writes."""
    y = [list(tags) for length in range(1, 5) for tags in itertools.product(LABELS, repeat=length)]
    classes = sorted({label for tags in to_scheme(y[:5000], "bioes", scheme) for label in tags})
    start, transitions, end = allowed(classes, scheme)
    for length in (1, 2, 3):
        paths = np.array(list(itertools.product(range(len(classes)), repeat=length)))
        good = start[paths[:, 0]] & end[paths[:, -1]] & transitions[paths[:, :-1], paths[:, 1:]].all(axis=1)
        y = [[classes[place] for place in path] for path in paths]
        assert good.tolist() == [tags == again for tags, again in zip(y, to_scheme(y, scheme, scheme), strict=True)]


def test_all_is_allowed_where_a_scheme_has_no_path():
    for classes, scheme in ((["I-X"], "iob2"), (["B-X", "E-X"], "bioes"), (["a", "b"], None)):
        assert all(part.all() for part in allowed(classes, scheme))


def test_messages():
    with pytest.raises(ValueError, match=r"y\[1\]\[0\] must be a tag as 'O', 'B-PER' or 'I-PER', got 'NOUN'"):
        spans([["O"], ["NOUN"]], "iob2")
    with pytest.raises(ValueError, match=r"y\[0\] must be a list of tags, got 'B-X'"):
        find_scheme(["B-X"])
    with pytest.raises(ValueError, match="y must be lists of tags, one for each sequence, got 'B-X'"):
        find_scheme("B-X")
    with pytest.raises(ValueError, match="scheme must be one of"):
        spans([["O"]], "iob")
