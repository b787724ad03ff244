"""Readers of tokens: words, characters, shapes and columns of each distinct form."""

import itertools
import json

import numpy as np
import pytest

from fastrnn.estimators.tokens import TokenReader
from fastrnn.text.tokens import PAD_ID, UNK_ID
from tests.reference_forms import reference_shape

X = [["The", "dog", "sees", "Rome", "."], ["the", "Dog", "'s", "2019"], [], ["Rome", "2020", "."]]


def options(**changed):
    return {"input": "tokens", "tokenizer": "whitespace", "lowercase": True, "normalize": None, "encoding": "utf-8",
            "max_length": None, "truncation": "end", "char_encoder": "rnn", **changed}  # fmt: skip


def learn(X=X, words=(), min_count=1, max_vocab=None, **changed):
    return TokenReader.learn(X, options(**changed), min_count, max_vocab, words)


def forms_of(sequences, i):
    """Return the forms of sequence `i`."""
    return sequences.values[sequences.offsets[i] : sequences.offsets[i + 1], 0]


def words_of(reader, sequences, i):
    return reader.vocabulary.decode(sequences.forms.words[forms_of(sequences, i)])


def spelled(reader, sequences, i):
    """Return the characters of the forms of sequence `i`, with ? for unknown ones."""
    known = ["", "?", *map(chr, reader.characters)]
    ids, offsets = sequences.forms.characters.flat(forms_of(sequences, i))
    parts = itertools.pairwise(offsets)
    return ["".join(known[k] for k in ids[first:last]) for first, last in parts]


def test_words_are_learned_in_lower_case_and_rare_ones_with_one_digit_for_all():
    reader, sequences = learn()
    assert words_of(reader, sequences, 0) == ["the", "dog", "sees", "rome", "."]
    assert words_of(reader, sequences, 1) == ["the", "dog", "'s", "0000"]
    assert learn([["7", "7", "8", "9"]])[0].vocabulary.tokens[4:] == ["7", "0"]
    assert reader.n_own == len(reader.vocabulary)
    assert reader.counts[reader.vocabulary.encode(["the", "0000", "sees"])].tolist() == [2, 2, 1]


def test_words_keep_their_case_without_lowercase():
    reader, sequences = learn(lowercase=False)
    assert words_of(reader, sequences, 1) == ["the", "Dog", "'s", "0000"]
    assert words_of(reader, reader.read([["Sees", "THE"]]), 0) == ["sees", "the"]


def test_given_words_come_behind_the_learned_ones():
    reader, sequences = learn(words=["paris", "dog", "Rome", "2019"])
    assert words_of(reader, sequences, 0) == ["the", "dog", "sees", "Rome", "."]
    assert reader.vocabulary.tokens[reader.n_own :] == ["paris", "dog", "Rome", "2019"]
    assert words_of(reader, reader.read([["Paris", "1999"]]), 0) == ["paris", "0000"]


def test_limits_hold_for_learned_words_only():
    reader, sequences = learn(words=["paris"], min_count=2)
    assert words_of(reader, sequences, 0) == ["the", "dog", "<unk>", "rome", "."]
    assert "paris" in reader.vocabulary
    assert learn(words=["paris"], max_vocab=6)[0].n_own == 6


def test_characters_and_shapes_see_forms_as_they_are():
    reader, sequences = learn()
    assert spelled(reader, sequences, 0) == ["?he", "?og", "sees", "Rome", "."]  # T, D and d stand in one token
    assert [reader.shapes[i - 1] if i else None for i in sequences.forms.shapes[forms_of(sequences, 1)]] == [
        "x", "Xx", None, "d",
    ]  # fmt: skip
    assert set(reader.shapes) == {reference_shape(form) for form in ("The", "dog", "2019", ".")}


def test_unknown_forms_have_characters_and_shapes():
    reader, _ = learn()
    sequences = reader.read([["Ohs", "£"]])
    assert words_of(reader, sequences, 0) == ["<unk>", "<unk>"]
    assert spelled(reader, sequences, 0) == ["?hs", "?"]
    assert reader.shapes[sequences.forms.shapes[1] - 1] == "Xx"


def test_ngrams_are_shared_by_forms_and_do_not_cross_them():
    reader, sequences = learn(char_encoder="ngrams")
    alone = reader.read([["dog"]]).forms.characters
    ids, offsets = sequences.forms.characters.flat(forms_of(sequences, 0))
    np.testing.assert_array_equal(ids[offsets[1] : offsets[2]], alone.flat(np.array([1]))[0])
    assert alone.lengths[1] == 4 + 3 + 2  # of "<dog>"
    assert ids.max() < reader.n_characters


def test_without_characters_there_are_none():
    assert learn(char_encoder=None)[1].forms.characters is None


def test_padding_has_a_form_of_its_own():
    _reader, sequences = learn([["a", ""], ["a"]])
    ids, lengths = sequences.padded(np.array([1, 0]))
    assert ids[..., 0].tolist() == [[1, 1], [0, 2]]
    assert lengths.tolist() == [1, 2]
    assert sequences.forms.words[0] == PAD_ID
    assert sequences.forms.characters.lengths[0] == 0


def test_further_columns():
    tagged = [[("a", "DET"), ("dog", "NOUN")], [], [("the", "DET"), ("dog", "NOUN"), ("ran", "VERB")]]
    reader, sequences = learn(tagged)
    assert reader.columns[0].decode(sequences.values[:, 1]) == ["DET", "NOUN", "DET", "NOUN", "<unk>"]
    assert reader.columns[0].decode(reader.read([[("x", "NOUN"), ("y", "X")]]).values[:, 1]) == ["NOUN", "<unk>"]
    assert reader.read_tokens(tagged) == [["a", "dog"], [], ["the", "dog", "ran"]]
    assert len(reader.read([[], []])) == 2
    given = np.empty(3, object)
    given[:] = tagged
    for same in (given, iter(tagged), tuple(tagged)):
        np.testing.assert_array_equal(reader.read(same).values, sequences.values)
    with pytest.raises(ValueError, match=r"X must have tokens with 1 further columns, as in fit, got 0"):
        reader.read([["a"]])


@pytest.mark.filterwarnings("ignore:.* are longer than")
@pytest.mark.parametrize(("truncation", "expected"), [("end", [0, 1]), ("start", [1, 2])])
def test_columns_are_cut_as_the_tokens_are(truncation, expected):
    tagged = [[(f"w{i}", f"c{i}") for i in range(3)]] * 2
    reader, sequences = learn(tagged, max_length=2, truncation=truncation)
    assert reader.columns[0].decode(sequences.values[:2, 1]) == [f"c{i}" for i in expected]
    assert sequences.full_lengths.tolist() == [3, 3]


@pytest.mark.parametrize("wrong", [[("a", "b", "c")], ["a"], [("a",)]])
def test_tokens_have_as_many_columns_as_the_first_one(wrong):
    with pytest.raises(ValueError, match=r"X\[1\] must have tokens with 2 columns, as the first token of X, got"):
        learn([[("a", "b")], wrong])


def test_nothing_is_nothing_to_learn():
    with pytest.raises(ValueError, match="X is empty: found 0 sequences while a minimum of 1 is required"):
        learn([])
    assert len(learn()[0].read([])) == 0


@pytest.mark.parametrize("encoder", ["rnn", "ngrams", None])
def test_a_reader_reads_the_same_after_a_file(encoder):
    reader, _ = learn([[("a", "x"), ("Aa", "y")], [("b1", "x")]], words=["c"], char_encoder=encoder)
    content, arrays = reader.get_learned()
    again = TokenReader.from_learned(json.loads(json.dumps(content)), arrays, reader.options)
    new = [[("Aa", "y"), ("q", "z"), ("c", "x")]]
    first, second = reader.read(new), again.read(new)
    np.testing.assert_array_equal(first.values, second.values)
    for one, other in zip(first.forms[:2], second.forms[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    if encoder is not None:
        np.testing.assert_array_equal(first.forms.characters.values, second.forms.characters.values)
    np.testing.assert_array_equal(reader.counts, again.counts)
    assert (again.n_own, again.n_characters, again.n_shapes) == (reader.n_own, reader.n_characters, reader.n_shapes)


def test_a_form_that_was_never_seen_is_unknown():
    reader, _ = learn()
    assert reader.read([["never"]]).forms.words[1] == UNK_ID
