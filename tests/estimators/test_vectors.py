"""Files, mappings and pairs of pretrained vectors."""

import gzip

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier
from fastrnn.estimators.vectors import read_vectors
from tests.classifiers import BOTH, X, Y, averaging, recurrent
from tests.fakes import Frame


def read(tmp_path, text, name="vectors.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    words, vectors = read_vectors(path)
    assert vectors.dtype == np.float32
    return dict(zip(words, vectors.tolist(), strict=True))


def test_the_first_vector_of_a_word_counts(tmp_path):
    expected = {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    assert read(tmp_path, "a 1 2\nb 3 4\na 5 6\n") == expected
    words, vectors = read_vectors((["a", "b", "a"], np.arange(1.0, 7).reshape(3, 2)))
    assert dict(zip(words, vectors.tolist(), strict=True)) == expected
    words, vectors = read_vectors({"7": [1, 2], 7: [3, 4]})  # ids are tokens too
    assert (words, vectors.tolist()) == (["7"], [[1.0, 2.0]])


def test_words_are_in_the_normal_form_of_the_texts():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    embedding = {decomposed: [1, 2], "bar": [3, 4], composed: [5, 6]}
    words, vectors = read_vectors(embedding, "NFC")
    assert (words, vectors.tolist()) == ([composed, "bar"], [[1.0, 2.0], [3.0, 4.0]])
    assert read_vectors(embedding)[0] == [decomposed, "bar", composed]
    model = MeanEmbeddingClassifier(2, embedding=embedding, normalize="NFC", n_buckets=4, max_iter=1)
    tokens = model.fit([composed, "bar"] * 4, [0, 1] * 4).vocabulary_.tokens
    assert sorted(tokens[4:]) == ["bar", composed]


def test_a_model_learns_with_a_word_that_stands_twice():
    embedding = (["good", "bad", "good", "...."] * 2, np.arange(16.0).reshape(8, 2))
    model = MeanEmbeddingClassifier(embedding=embedding, freeze_embedding=True, max_iter=1, n_buckets=10)
    model.fit(["good", "bad"], [1, 0])
    vectors = model.network_.layers["embedding"].parameters["weight"]
    assert vectors[model.vocabulary_.encode(["good", "bad", "...."])].tolist() == [[0, 1], [2, 3], [6, 7]]


@pytest.mark.parametrize("space", ["\u00a0", "\u2028", "\u0085", "\u3000", "\x1c"])
def test_white_space_beyond_ascii_is_part_of_a_word(space, tmp_path):
    assert read(tmp_path, f"a{space}b 1 2\n{space} 3 4\n") == {f"a{space}b": [1.0, 2.0], space: [3.0, 4.0]}


@pytest.mark.parametrize(
    "text",
    [
        "a 1 2\nb c 3 4\n",
        "2 2\na 1 2\nb c 3 4\n",
        "2 2 \r\na 1 2 \r\nb c 3 4 \r\n",
        "a\t1\t2\nb c\t3\t4\n\n",
        "\ufeffa 1 2\nb c 3 4",
        "\na  1   2\nb c  3  4\n",
    ],
)
def test_files_as_they_are_written(text, tmp_path):
    expected = {"a": [1.0, 2.0], "b c": [3.0, 4.0]}
    assert read(tmp_path, text) == expected
    assert read(tmp_path, gzip.compress(text.encode()), "vectors.txt.gz") == expected


def test_vectors_of_one_number_are_no_header(tmp_path):
    assert read(tmp_path, "a 1\nb 2.5\n") == {"a": [1.0], "b": [2.5]}
    assert read(tmp_path, "2 1\na 1\nb 2.5\n") == {"a": [1.0], "b": [2.5]}


def test_bytes_that_are_no_text_stand_in_some_words_of_known_files(tmp_path):
    assert read(tmp_path, b"a\xff 1 2\nb 3 4\na\xfe 5 6\n") == {"a\ufffd": [1.0, 2.0], "b": [3.0, 4.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 3\n", r"vectors\.txt, line 2: expected a word and 2 numbers, got 'b 3'"),
        ("3 2\na 1\n", r"vectors\.txt, line 2: expected a word and 2 numbers, got 'a 1'"),
        ("a 1 2\n\nb 3 x\n", r"vectors\.txt, line 3: expected a word and 2 numbers, got 'b 3 x'"),
        ("a 1 2\nb 3 nan\n", r"vectors\.txt, line 2: expected a word and 2 numbers, got 'b 3 nan'"),
        ("a\nb\n", r"vectors\.txt, line 1: expected a word and its numbers, got 'a'"),
        ("", r"vectors\.txt holds no word vectors"),
        ("0 3\n", r"vectors\.txt holds no word vectors"),
    ],
)
def test_the_line_that_is_wrong_is_named(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


class Table:
    columns = ("a", "b")

    def keys(self):
        return self.columns


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        ({"a": [1.0], "b": [1.0, 2.0]}, "vectors of one length, got 1 numbers and 2"),
        ({"a": ["x"]}, "vectors of numbers"),
        ({"a": [1.0], "b": [np.nan]}, "embedding must be finite, got NaN or infinity for 'b'"),
        ({"a": [1.0], "b": [1e300]}, "embedding must be finite, got NaN or infinity for 'b'"),
        ({b"a": [1.0]}, "embedding must have strings as words, got b'a'"),
        ((["a", None], np.zeros((2, 2))), "embedding must have strings as words, got None"),
        (Table(), r"got a Table: give \(frame.index, frame.to_numpy\(\)\) for instance"),
    ],
)
def test_wrong_mappings_and_pairs_are_named(embedding, message):
    with pytest.raises(ValueError, match=message):
        read_vectors(embedding)


def test_embeddings_are_no_tables():
    with pytest.raises(ValueError, match=r"got a Frame: give \(frame\.index, frame\.to_numpy\(\)\)"):
        averaging(embedding=Frame(x=[0.1, 0.2], y=[0.3, 0.4])).fit(X, Y)


WORDS = ["good", "bad", "unseen"]


VECTORS = np.array([[1.0, 0.0, 0.5], [-1.0, 0.5, 0.0], [1.0, 0.1, 0.5]], np.float32)


def vector_file(tmp_path, header):
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, VECTORS.tolist(), strict=True)]
    path = tmp_path / "vectors.txt"
    path.write_text("\n".join(["3 3"] * header + lines) + "\n")
    return path


@pytest.mark.parametrize("form", ["mapping", "pair", "glove", "word2vec"])
@BOTH
def test_pretrained_vectors(make, form, tmp_path):
    embedding = {"mapping": dict(zip(WORDS, VECTORS, strict=True)), "pair": (WORDS, VECTORS)}.get(form)
    if embedding is None:
        embedding = vector_file(tmp_path, form == "word2vec")
    frozen, tuned = (make(embedding=embedding, freeze_embedding=f, max_iter=2).fit(X, Y) for f in (True, False))
    ids = frozen.vocabulary_.encode(WORDS)
    vectors = [model.network_.layers["embedding"].parameters["weight"][ids] for model in (frozen, tuned)]
    np.testing.assert_array_equal(vectors[0], VECTORS)
    assert not np.array_equal(vectors[1][:2], VECTORS[:2])
    frozen.save(tmp_path / "model")
    loaded = type(frozen).load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(["unseen film"]), frozen.predict_proba(["unseen film"]))


@pytest.mark.parametrize(
    ("embedding", "message"),
    [({"a": [1.0], "b": [1.0, 2.0]}, "vectors of one length"), ((["a"], np.zeros((2, 3))), "a vector for each word"),
     (5, "embedding must be a mapping"), ({}, "a vector for each word"), ({"a": [np.inf]}, "finite")],
)  # fmt: skip
def test_wrong_vectors_are_named(embedding, message):
    with pytest.raises(ValueError, match=message):
        recurrent(embedding=embedding).fit(X, Y)


def test_a_broken_file_of_vectors_names_the_line(tmp_path):
    path = vector_file(tmp_path, header=False)
    path.write_text(path.read_text() + "broken 1.0 x 2.0\n")
    with pytest.raises(ValueError, match=r"line 4: expected a word and 3 numbers, got 'broken"):
        recurrent(embedding=str(path)).fit(X, Y)
