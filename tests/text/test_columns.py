import gzip
import io

import pytest

from fastrnn.text import read_conll, write_conll
from fastrnn.text.columns import read_columns

CONLL_2003 = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

. . O O
-DOCSTART- -X- O O
Rare NNP I-NP I-MISC
"""
TWEETS = "# id 12 domain=en\n#Rome\tB-LOC\n#\tO\n \t \n\tO\n \tO\n# \tB-X\n"
CONLLU = """# sent_id = 1
# text = Let's go
1-2\tLet's\t_\t_\t_\t_\t_\t_\t_\t_
1\tLet\tlet\tVERB\tVB\t_\t0\troot\t_\t_
2\t's\tus\tPRON\tPRP\t_\t1\tobj\t_\t_
# a comment inside
2.1\tso\t_\tADV\tRB\t_\t_\t_\t_\t_
3\tgo far\tgo\tVERB\tVB\t_\t1\txcomp\t_\t_

1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_
"""


def test_columns_between_spaces():
    X, y = read_conll(io.StringIO(CONLL_2003))
    assert X == [["EU", "rejects"], ["."], ["Rare"]]
    assert y == [["I-ORG", "O"], ["O"], ["I-MISC"]]
    X, y = read_conll(io.StringIO(CONLL_2003), tag=2, columns=[1])
    assert X[0] == [("EU", "NNP"), ("rejects", "VBZ")]
    assert y[0] == ["I-NP", "I-VP"]
    assert read_conll(io.StringIO(CONLL_2003), token=-1, tag=False) == ([["I-ORG", "O"], ["O"], ["I-MISC"]], None)


def test_hashes_are_tokens_and_comments():
    """Blank lines hold spaces, and tokens may be empty."""
    X, y = read_conll(io.BytesIO(TWEETS.encode()))
    assert X == [["#Rome", "#"], ["", " ", "# "]]
    assert y == [["B-LOC", "O"], ["O", "O", "B-X"]]


def test_comments_that_have_as_many_columns():
    text = "# id 5239\tdomain=en\nthe _ _ O\n\n# sent_id = 4\n# _ _ O\n# newpar x y\n"
    assert read_conll(io.StringIO(text))[0] == [["the"], ["#", "#"]]
    assert read_conll(io.StringIO("# newdoc\nthe O\n"))[0] == [["the"]]


def test_only_hashes():
    assert read_conll(io.StringIO("#a O\n# O\n"))[0] == [["#a", "#"]]


def test_tokens_alone():
    X, y = read_conll(io.StringIO("# a comment\nA\nb\n\n#c"), tag=False)
    assert (X, y) == ([["A", "b"], ["#c"]], None)
    with pytest.raises(ValueError, match=r"the text has one column, and no tags: give tag=False"):
        read_conll(io.StringIO("A\nb"))


def test_conllu():
    assert read_conll(io.StringIO(CONLLU)) == ([["Let", "'s", "go far"], ["Yes"]], [["VERB", "PRON", "VERB"], ["INTJ"]])
    X, y = read_conll(io.StringIO(CONLLU), token="lemma", tag="XPOS", columns=["upos"])
    assert X == [[("let", "VERB"), ("us", "PRON"), ("go", "VERB")], [("yes", "INTJ")]]
    assert y[1] == ["UH"]
    with pytest.raises(ValueError, match=r"tag must be a column of CoNLL-U, .*, got 'pos': did you mean"):
        read_conll(io.StringIO(CONLLU), tag="pos")
    with pytest.raises(ValueError, match=r"tag must be the number of a column, got 'upos': the text is not in CoNLL-U"):
        read_conll(io.StringIO(CONLL_2003), tag="upos")


def test_carriage_returns_and_compression(tmp_path):
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress("\ufeffEU\tB-ORG\r\n\r\nna\u00efve one\tO\r\n".encode()))
    assert read_conll(path) == ([["EU"], ["naïve one"]], [["B-ORG"], ["O"]])


@pytest.mark.parametrize("text", ["", "\n \n", "-DOCSTART- O\n\n"])
def test_no_sentences(text):
    assert read_conll(io.StringIO(text)) == ([], [])


def test_messages(tmp_path):
    path = tmp_path / "bad.conll"
    path.write_text("a b O\n\nc\td O e\n")
    with pytest.raises(ValueError, match=r"bad\.conll, line 3: 4 columns, where other lines have 3\."):
        read_conll(path)
    with pytest.raises(ValueError, match=r"tag=3: the text has 2 columns\."):
        read_conll(io.StringIO("a O"), tag=3)
    with pytest.raises(ValueError, match=r"columns\[0\] must be the number or the name of a column, got 1\.5\."):
        read_conll(io.StringIO("a O"), columns=[1.5])


def test_round_trip(tmp_path):
    X = [["EU", "rejects", " "], [], ["#", "# x"]]
    y = [["B-ORG", "O", "O"], [], ["O", "B-X"]]
    for name in ("a.conll", "a.conll.gz", "a.bz2", "a.xz"):
        write_conll(tmp_path / name, X, y)
        assert read_conll(tmp_path / name) == ([X[0], X[2]], [y[0], y[2]])
    assert gzip.decompress((tmp_path / "a.conll.gz").read_bytes()) == (tmp_path / "a.conll").read_bytes()
    file = io.BytesIO()
    write_conll(file, [[("naïve", "ADJ")]], [[1]])
    assert file.getvalue() == "naïve\tADJ\t1\n\n".encode()
    write_conll(text := io.StringIO(), [["a", "b"]])
    assert text.getvalue() == "a\nb\n\n"
    assert read_columns("a", file.getvalue().decode().splitlines()).sentences == [[["naïve", "ADJ", "1"]]]


def test_what_cannot_be_written(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")
    for token in ("a\tb", "a\nb", "O\r"):
        with pytest.raises(ValueError, match=r"X\[1\] has a token or a tag with a tab or a line end"):
            write_conll(path, [["a"], [token]], [["O"], [token]])
    with pytest.raises(ValueError, match=r"X\[0\] has 1 tokens, and y\[0\] 2 tags\."):
        write_conll(path, [["a"]], [["O", "O"]])
    with pytest.raises(ValueError, match="X and y must be as many sentences, got 1 and 0"):
        write_conll(path, [["a"]], [])
    with pytest.raises(ValueError, match="with nothing in it"):
        write_conll(path, [[""]])
    with pytest.raises(ValueError, match="target must be the path of a file or an open file, got 3"):
        write_conll(3, [["a"]])
    assert path.read_text() == "old"
