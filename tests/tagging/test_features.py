"""Elements as sparse attributes, compared with plain loops over dictionaries and windows."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest

from fastrnn.tagging.sparse import template
from fastrnn.tagging.sparse.features import AttributeReader
from fastrnn.tagging.sparse.template import TEMPLATE, column_template

TEXTS = [["Rome", "is", "in", "Italy", "."], [], ["@anna", "#Rome", "http://a.b", "12", "Ümläut-Ärger", "USA"], ["Is"]]


def options(features="default"):
    return {"features": features}


def read_back(reader, sequences):
    """Return the names and weights of every element's attributes, a list of lists of dict."""
    names, result = reader.attributes, []
    values = np.ones(len(sequences.attributes)) if sequences.values is None else sequences.values
    for i in range(len(sequences)):
        elements = range(sequences.offsets[i], sequences.offsets[i + 1])
        slices = [slice(*sequences.element_offsets[e : e + 2]) for e in elements]
        result.append([{names[a]: v for a, v in zip(sequences.attributes[s], values[s], strict=True)} for s in slices])
    return result


def learned(X, features="default", min_count=1):
    reader, sequences = AttributeReader.learn(X, options(features), min_count)
    assert sequences.attributes.dtype == np.int32
    assert sequences.offsets.dtype == sequences.element_offsets.dtype == np.int64
    assert np.array_equal(sequences.lengths, [len(x) for x in X])
    assert len(reader) == len(reader.attributes) == len(set(reader.attributes))
    assert set(np.unique(sequences.attributes)) == set(range(len(reader)))
    return reader, sequences


def test_dictionaries_are_read_as_python_crfsuite_reads_them():
    X = [
        [{"word": "Rome", "title": True, "digit": False, "length": Fraction(4), "score": np.float32(0.5)}, {}],
        [{"prev": {"word": "in", "n": 2, "tags": ["a", "b"]}, "any": {"x"}, "word": "é:ü"}],
    ]
    reader, sequences = learned(X)
    assert read_back(reader, sequences) == [
        [{"word:Rome": 1, "title": 1, "digit": 0, "length": 4, "score": 0.5}, {}],
        [{"prev:word:in": 1, "prev:n": 2, "prev:tags:a": 1, "prev:tags:b": 1, "any:x": 1, "word:é:ü": 1}],
    ]
    assert reader.attributes[:3] == ["word:Rome", "title", "digit"]  # in their order of appearance
    flat = [[{"word": "Rome", "title": True, "new": 1}, {"word": "new", "length": 7.5}]]
    assert read_back(reader, reader.read(flat)) == [[{"word:Rome": 1, "title": 1}, {"length": 7.5}]]
    assert len(reader) == 11  # reading teaches nothing


@pytest.mark.parametrize("features", ["default", None])
def test_lists_of_names(features):
    X = [[["a", "b"], []], [{"b", "c", "a"}, ["a", "a"]]]
    reader, sequences = learned(X, features)
    assert reader.attributes == ["a", "b", "c"]
    assert sequences.values is None
    assert sequences.attributes.tolist() == [0, 1, 0, 1, 2, 0, 0]
    assert sequences.element_offsets.tolist() == [0, 2, 2, 5, 7]
    if features is None:
        assert read_back(*learned([[("a", "b")]], None)) == [[{"a": 1, "b": 1}]]


def test_rare_attributes_are_left_out():
    reader, sequences = learned([[["a", "b"], ["b"]], [["b", "c", "a"]]], min_count=2)
    assert reader.attributes == ["a", "b"]
    assert sequences.attributes.tolist() == [0, 1, 1, 1, 0]
    reader, sequences = learned(TEXTS, min_count=2)
    assert {"w[0]=is", "bias", "w[1]=</s>", "suffix1[0]=e"} <= {*reader.attributes}
    assert not {"w[0]=rome", "form[0]=Is"} & {*reader.attributes}


def value(word, view):
    """Return some of the views of a word, written in another way than the package does."""
    if view == "column1":
        return word
    if view == "w":
        return word.lower()
    if view.startswith("suffix"):
        return word.lower()[-int(view[-1]) :] if len(word) >= int(view[-1]) else ""
    if view == "shape":
        return "".join("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in word)
    return None


def windowed(words, view, parts):
    """Yield the attributes of one part of a template for each element."""
    for i in range(len(words)):
        values = []
        for _, place in parts:
            inside = 0 <= i + place < len(words)
            outside = ("<s>" if i + place < 0 else "</s>") if view in ("w", "column1") else ""
            values.append(
                (value(words[i + place], view) if view != "column1" else words[i + place]) if inside else outside
            )
        name = "|".join(f"{view}[{place}]" for _, place in parts)
        yield [f"{name}={'|'.join(values)}"] if all(values) else []


def test_the_template_is_that_of_a_plain_loop():
    reader, sequences = learned(TEXTS)
    found = read_back(reader, sequences)
    parts = [p for p in TEMPLATE if p and {view for view, _ in p} <= {"w", "suffix3", "shape"}]
    assert len(parts) >= 8
    for part in parts:
        prefix = "|".join(f"{view}[{place}]" for view, place in part) + "="
        for words, elements in zip(TEXTS, found, strict=True):
            expected = list(windowed(words, part[0][0], part))
            assert [[name for name in element if name.startswith(prefix)] for element in elements] == expected
    assert all(element["bias"] == 1 for elements in found for element in elements)
    again = reader.read(TEXTS)
    assert np.array_equal(again.attributes, sequences.attributes)
    assert np.array_equal(again.element_offsets, sequences.element_offsets)


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("@Anna12", "form=@Anna12 bare=anna00 kind=@ shape=@Xxxxdd short_shape=@Xxd prefix6=@anna1 suffix6=anna12"),
        ("WWW.a.b", "w=www.a.b kind=url"),
        ("2024", "bare=0000 kind=digits4 suffix4=2024"),
        ("...", "kind=punctuation short_shape=."),
        ("U", "kind=letter prefix1=u"),
        ("UN", "kind=upper"),
        ("Rome", "kind=title"),
        ("well-known", "kind=hyphen"),
        ("ΑΘΉΝΑ", "w=αθήνα shape=XXXXX suffix2=να"),
    ],
)
def test_views_of_a_word(word, names):
    reader, _ = learned([[word]])
    names = {"{}[0]={}".format(*name.split("=")) for name in names.split()}
    assert names <= {*reader.attributes}
    assert not any(f"fix{len(word) + 1}[0]" in name for name in reader.attributes)


def test_further_columns_have_their_windows():
    tagged = [[(word, f"T{len(word) % 3}") for word in words] for words in TEXTS]
    reader, sequences = learned(tagged)
    found, plain = read_back(reader, sequences), read_back(*learned(TEXTS))
    parts = column_template("column1")
    assert {len(part) for part in parts} == {1, 2, 3}
    for words, elements in zip(tagged, found, strict=True):
        expected = zip(*(windowed([tag for _, tag in words], "column1", part) for part in parts), strict=True)
        for element, wanted in zip(elements, expected, strict=True):
            assert sorted(n for n in element if n.startswith("column1")) == sorted(itertools.chain(*wanted))
    without = [[{n: v for n, v in e.items() if not n.startswith("column")} for e in elements] for elements in found]
    assert without == plain
    with pytest.raises(ValueError, match=r"X\[0\]\[1\] must be a tuple of 2 strings, got \('a',\)"):
        reader.read([[("a", "b"), ("a",)]])


def test_other_sequences_and_blocks_change_nothing(monkeypatch):
    reader, sequences = learned(TEXTS)
    whole = read_back(reader, sequences)
    monkeypatch.setattr("fastrnn.tagging.sparse.template._BLOCK", 3)
    assert read_back(reader, reader.read(TEXTS)) == whole
    for i, words in enumerate(TEXTS):
        assert read_back(reader, reader.read([words])) == [whole[i]]
    rows = (3, 1, 0)
    assert read_back(reader, reader.read([TEXTS[row] for row in rows])) == [whole[row] for row in rows]


def test_unknown_words_keep_what_is_known_of_them():
    reader, _ = learned(TEXTS)
    ((element,),) = read_back(reader, reader.read([["Trome"]]))
    assert {"suffix3[0]=ome", "short_shape[0]=Xx", "w[-1]=<s>", "w[1]=</s>"} <= set(element)
    assert "w[0]=trome" not in element


def test_a_reader_keeps_some_attributes():
    tagged = [[(word, f"T{len(word) % 3}") for word in words] for words in TEXTS]
    for X in (TEXTS, tagged, [[{"a": "b", "c": 2.5}, {"a": "d"}]]):
        reader, sequences = learned(X)
        kept = np.random.default_rng(0).random(len(reader)) < 0.3
        smaller = reader.keep(kept)
        assert smaller.attributes == list(itertools.compress(reader.attributes, kept))
        names = {*smaller.attributes}
        expected = [[{n: v for n, v in e.items() if n in names} for e in part] for part in read_back(reader, sequences)]
        assert read_back(smaller, smaller.read(X)) == expected
    reader = learned(TEXTS)[0].keep(np.zeros(len(learned(TEXTS)[0]), bool))
    assert reader.attributes == []
    assert {len(values) for values in reader.get_learned()[0]["values"].values()} == {1}


def test_a_function_makes_features():
    def features(words, i):
        return {"word": words[i], "place": i}

    reader, sequences = learned(TEXTS, features)
    assert read_back(reader, sequences)[0][1] == {"word:is": 1, "place": 1}
    assert read_back(*learned([[1, 2], [3]], lambda numbers, i: [str(numbers[i])])) == [
        [{"1": 1}, {"2": 1}],
        [{"3": 1}],
    ]


def test_arrays_and_iterators_are_sequences_too():
    expected = read_back(*learned([["a", "b"], ["c"]]))
    for X in ([np.array(["a", "b"]), np.array(["c"], object)], iter([["a", "b"], ("c",)])):
        assert read_back(*AttributeReader.learn(X, options())) == expected
    pairs = [np.array([["a", "N"], ["b", "V"]])]
    assert read_back(*AttributeReader.learn(pairs, options())) == read_back(*learned([[("a", "N"), ("b", "V")]]))


@pytest.mark.parametrize(
    "X", [TEXTS, [[("a", "N")], []], [[{"a": "b", "c": 2.5}]], [[["a"], ["b", "a"]]], [[], []]], ids=str
)
def test_a_reader_is_what_its_file_says(X):
    reader, sequences = AttributeReader.learn(X, options())
    content, arrays = reader.get_learned()
    again = AttributeReader.from_learned(json.loads(json.dumps(content)), arrays, options())
    assert again.attributes == reader.attributes
    assert read_back(again, again.read(X)) == read_back(reader, sequences)


def test_a_file_has_its_own_template(monkeypatch):
    reader, sequences = learned(TEXTS)
    content, arrays = reader.get_learned()
    content = json.loads(json.dumps(content))
    monkeypatch.setattr(template, "TEMPLATE", TEMPLATE[::-1][:9])
    again = AttributeReader.from_learned(content, arrays, options())
    assert read_back(again, again.read(TEXTS)) == read_back(reader, sequences)
    monkeypatch.setattr(template, "VIEWS", tuple(view for view in template.VIEWS if view != "suffix3"))
    with pytest.raises(ValueError, match="this version of fastrnn does not know 'suffix3', which the attributes are"):
        AttributeReader.from_learned(content, arrays, options())


@pytest.mark.parametrize(
    ("X", "features", "message"),
    [
        ("a b", "default", r"X must be a list of sequences of elements, got 'a b'\."),
        (["a b"], "default", r"X\[0\] must be a list of elements .*, got 'a b': cut it into tokens first\."),
        ([["a"], [3]], "default", r"X\[1\]\[0\] must be a dictionary or a list of attributes, a token or a tuple with"),
        ([["a"], [None, "a"]], "default", r"X\[1\]\[0\] must be .* with features='default', got None\."),
        ([["a", ("a", "N")]], "default", r"X\[0\]\[1\] must be a token, as the elements before .*, got \('a', 'N'\)\."),
        ([[{"a": 1}], [["a"]]], "default", r"X\[1\]\[0\] must be a dictionary, as the elements before"),
        ([["a"]], None, r"X\[0\]\[0\] must be a dictionary or a list of attributes with features=None, got 'a'\."),
        ([[{"a": None}]], None, r"X\[0\]\[0\] must give 'a' a string, a finite number or a boolean, got None\."),
        ([[{"a": 10**400}]], None, r"X\[0\]\[0\] must give 'a' .* a finite number or a boolean, got 1000"),
        ([[], [{}, {"a": float("nan")}]], None, r"X\[1\]\[1\] must give 'a' .* got nan\."),
        ([[{1: "a"}]], None, r"X\[0\]\[0\] must have names of attributes that are strings, got 1\."),
        ([[{"a": {1: 2.5}}]], None, r"X\[0\]\[0\] must have names of attributes that are strings, got 1\."),
        ([[["a"], ["b", 2]]], None, r"X\[0\]\[1\] must have names of attributes that are strings, got 2\."),
        ([[("a", None)]], "default", r"X\[0\]\[0\] must be a tuple of 2 strings, got \('a', None\)\."),
        ([["a"]], "other", r"features must be 'default' or None, got 'other'\."),
        ([["a", "b"]], lambda x, i: x[i], r"features of X\[0\]\[0\] must be a dictionary or a list .*, got 'a'\."),
    ],
)
def test_wrong_elements_are_named(X, features, message):
    with pytest.raises(ValueError, match=message):
        AttributeReader.learn(X, options(features))


def test_other_elements_than_in_training_are_refused():
    reader, _ = learned(TEXTS)
    with pytest.raises(ValueError, match=r"X\[0\]\[0\] must be a token, as the elements before or in training"):
        reader.read([[{"a": 1}]])
    nothing, _ = AttributeReader.learn([], options())
    assert not len(nothing.read([["a"]]).attributes)
    nothing, _ = AttributeReader.learn([[[]]], options())
    assert not len(nothing.read([[["a"]]]).attributes)
    assert len(reader.read([[], []]).attributes) == len(reader.read([]).attributes) == 0
