import itertools

import numpy as np
import pytest

from fastrnn import RNNLanguageModel, Vocabulary
from fastrnn.text import corpus
from fastrnn.text.corpus import count_tokens, learn_vocabulary, read_corpus, split_end, write_token_file
from fastrnn.text.tokens import END_ID, close_sentences

LINES = ["the cat sat on the mat .", "the dog sat on the log .", "", "a cat saw the dog ."] * 20
OPTIONS = {"embedding_size": 7, "hidden_size": 9, "tokenizer": "whitespace", "max_iter": 1, "bptt_length": 8,
           "batch_size": 4, "random_state": 0}  # fmt: skip


@pytest.fixture
def small_pieces(monkeypatch):
    """Let everything go to disk, a few tokens at a time."""
    monkeypatch.setattr(corpus, "_IN_MEMORY", 16)
    monkeypatch.setattr(corpus, "_AT_ONCE", 10)


def expected(vocabulary):
    return close_sentences(*vocabulary.encode_corpus([line.split() for line in LINES]))


@pytest.mark.parametrize("known", [True, False])
def test_a_text_in_pieces_is_the_text(small_pieces, known):
    vocabulary = Vocabulary().fit([line.split() for line in LINES])
    text, found = read_corpus(iter(LINES), vocabulary if known else None, "whitespace")
    assert isinstance(text.ids, np.memmap)
    assert found == vocabulary
    for got, wanted in zip(text, expected(vocabulary), strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(count_tokens(text.ids, len(found)), np.bincount(text.ids, minlength=len(found)))


@pytest.mark.parametrize("options", [{}, {"carry_state": False, "min_count": 30, "max_vocab": 8}])
def test_models_do_not_depend_on_where_a_text_lies(options, tmp_path, monkeypatch):
    in_memory = RNNLanguageModel(**OPTIONS, **options).fit(LINES)
    (tmp_path / "text.txt").write_text("\n".join(LINES) + "\n")
    vocabulary = in_memory.vocabulary_
    write_token_file(tmp_path / "ids.npy", LINES, vocabulary, "whitespace")
    ids = np.load(tmp_path / "ids.npy", mmap_mode="r")
    assert ids.dtype == np.uint16
    monkeypatch.setattr(corpus, "_IN_MEMORY", 16)
    monkeypatch.setattr(corpus, "_AT_ONCE", 10)
    given = {**OPTIONS, **options, "vocabulary": vocabulary}
    models = [
        RNNLanguageModel(**OPTIONS, **options).fit(line for line in LINES),
        RNNLanguageModel(**OPTIONS, **options).fit(tmp_path / "text.txt"),
        RNNLanguageModel(**given).fit(tmp_path / "ids.npy"),
        RNNLanguageModel(**given).fit(ids),
    ]
    for model in models:
        assert model.vocabulary_ == vocabulary
        assert model.validation_scores_ == in_memory.validation_scores_
        for name, array in model.network_.parameters.items():
            np.testing.assert_array_equal(array, in_memory.network_.parameters[name], err_msg=name)


@pytest.mark.parametrize("limits", [{}, {"min_count": 30}, {"max_size": 9}])
def test_a_learned_vocabulary_is_that_of_the_text(small_pieces, limits):
    text, seen = read_corpus(iter(LINES), None, "whitespace")
    released = []
    learned = learn_vocabulary(text.ids, seen, **limits, release=lambda: released.append(None))
    assert len(released) == -(-len(text.ids) // 10)
    vocabulary = Vocabulary(**limits)
    vocabulary.fit([line.split() for line in LINES])
    assert learned.vocabulary == vocabulary
    np.testing.assert_array_equal(learned.new_ids[text.ids], expected(vocabulary)[0])
    np.testing.assert_array_equal(learned.counts, np.bincount(learned.new_ids[text.ids], minlength=len(vocabulary)))


@pytest.mark.parametrize(
    ("options", "counted", "others"),
    [
        ({}, 1, 1),  # to count the tokens, and to replace their ids
        ({"softmax": "adaptive", "softmax_cutoffs": [6]}, 1, 1),
        ({"early_stopping": False}, 1, 1),
        ({"vocabulary": True}, 0, 0),
        ({"vocabulary": True, "softmax": "sampled", "softmax_samples": 3}, 1, 0),
        ({"checkpoint": True}, 1, 2),  # and to identify the text
    ],
    ids=str,
)
def test_a_text_is_read_no_more_often_than_needed(options, counted, others, tmp_path, monkeypatch):
    """Besides the reading itself, and training."""
    n_read, pieces = 0, corpus._pieces

    def counting(array):
        nonlocal n_read
        for piece in pieces(array):
            n_read += len(piece) if array.dtype == np.int32 else 0  # offsets are int64
            yield piece

    monkeypatch.setattr(corpus, "_pieces", counting)
    options = dict(options)
    fit = {"checkpoint": tmp_path / "checkpoint"} if options.pop("checkpoint", False) else {}
    if "vocabulary" in options:
        options["vocabulary"] = Vocabulary().fit([line.split() for line in LINES])
    RNNLanguageModel(**OPTIONS, **options).fit(LINES, **fit)
    lengths = [len(line.split()) + 1 for line in LINES]
    n_trained = sum(lengths if "early_stopping" in options else lengths[:-4])
    assert n_read == counted * n_trained + others * sum(lengths)


def test_memory_does_not_grow_with_the_text(monkeypatch):
    import tracemalloc

    monkeypatch.setattr(corpus, "_IN_MEMORY", 1 << 16)
    monkeypatch.setattr(corpus, "_AT_ONCE", 1 << 12)
    peaks = []
    for n in (2_000, 20_000):
        lines = ("the cat sat on the mat and looked at the dog on the log" for _ in range(n))
        tracemalloc.start()
        text, _ = read_corpus(lines, None, "whitespace")
        peaks.append(tracemalloc.get_traced_memory()[1] - text.offsets.nbytes)
        tracemalloc.stop()
    assert len(text.ids) == 15 * 20_000
    assert peaks[1] < 1.5 * peaks[0]


def test_splitting_the_end_off():
    text = corpus.Corpus(np.arange(100, 120), np.array([0, 5, 12, 20]))
    first, second = split_end(text, 0.3)
    np.testing.assert_array_equal(first.ids, np.arange(100, 112))
    np.testing.assert_array_equal(second.offsets, [0, 8])
    first, second = split_end(corpus.Corpus(np.arange(11), np.array([0, 11])), 0.2)
    np.testing.assert_array_equal(first.ids, np.arange(8))
    np.testing.assert_array_equal(second.ids, [8, 9, 10])


def test_ids_that_break_off():
    vocabulary = Vocabulary().fit([["a", "b"]])
    text, _ = read_corpus(np.array([4, 5, END_ID, 5], np.uint16), vocabulary)
    np.testing.assert_array_equal(text.offsets, [0, 3, 4])


@pytest.mark.parametrize(
    ("X", "vocabulary", "message"),
    [
        (np.array([4, 3]), None, "X holds ids: give the model the vocabulary"),
        (
            np.array([4, 3, 99]),
            Vocabulary().fit([["a"]]),
            "X holds the id 99 at 2, which is no token",
        ),
        (np.array([4, 0]), Vocabulary().fit([["a"]]), "X holds the id 0 at 1"),
        (np.array([[4, 3]]), Vocabulary().fit([["a"]]), r"one-dimensional array if it holds ids, got shape \(1, 2\)"),
    ],
)
def test_bad_ids_are_named(X, vocabulary, message):
    with pytest.raises(ValueError, match=message):
        read_corpus(X, vocabulary)


def test_reserved_tokens_are_named_wherever_they_stand(small_pieces):
    lines = itertools.chain(LINES[:30], ["a </s> b"])
    with pytest.raises(ValueError, match=r"X\[30\] contains the token '</s>'"):
        read_corpus(lines, Vocabulary().fit([["a", "b"]]), "whitespace")


def test_a_token_file_is_npy(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.npy"):
        write_token_file(tmp_path / "ids.bin", LINES, Vocabulary())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"text\.npy is no \.npy file of ids: No data left"),
        (b"the cat sat", r"text\.npy is no \.npy file of ids: "),
        (np.ones(3), r"text\.npy must hold ids, an array of integers, got float64"),
        (np.array(["a"]), r"text\.npy must hold ids, an array of integers, got <U1"),
    ],
)
def test_what_is_no_file_of_ids_is_named(tmp_path, content, message):
    path = tmp_path / "text.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(ValueError, match=message):
        read_corpus(path, Vocabulary.from_tokens(["the"]))
