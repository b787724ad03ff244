"""The sentences of Python's documentation."""

import pytest

from fastrnn.datasets import load_python_docs, python_docs


@pytest.fixture(scope="module")
def sentences():
    return load_python_docs().data


def test_there_is_enough_to_learn_from(sentences):
    assert len(sentences) > 1500
    assert sum(len(sentence.split()) for sentence in sentences) > 25_000


def test_no_sentence_stands_twice(sentences):
    assert len(set(sentences)) == len(sentences)


def test_it_is_running_text(sentences):
    for sentence in sentences:
        assert sentence == " ".join(sentence.split())
        assert sentence[-1] in '.?!:)"”'
    marks = ("::=", ">>>", "|", "--+", "==+")
    assert not [sentence for sentence in sentences if any(mark in sentence for mark in marks)]
    frequent = " ".join(sentences).lower().split()
    assert frequent.count("the") > 0.04 * len(frequent)


def test_it_is_the_same_every_time(sentences):
    assert load_python_docs().data == sentences


def test_the_description_says_how_much_there_is(sentences):
    assert f"Number of sentences: {len(sentences)}" in load_python_docs().DESCR


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("One *very* **short**\nsentence.", ["One very short sentence."]),
        ("First one. Second, i.e. last, one (e.g. This).", ["First one.", "Second, i.e. last, one (e.g. This)."]),
        ("* An item of\n  a list.", ["An item of a list."]),
        ("[2] A foot-\n    note about *args and **kwargs.", ["A foot-note about *args and **kwargs."]),
        ("Term\n   What it means.", ["What it means."]),
        ("Heading\n*******", []),
        ('   assert_stmt ::= "assert" expression.', []),
        ("   if x:\n      y = 2.", []),
        ("   >>> print(1)\n   1.", []),
        ("| A table | of cells. |", []),
        ("object.__getattr__(self, name)", []),
        ("", []),
    ],
)
def test_prose_is_told_from_the_rest(block, expected):
    assert python_docs._sentences(block) == expected
