"""Tests of `fastrnn.ngram.arpa`, and of the n-gram model that reads and writes such files."""

import bz2
import gzip
import itertools
import lzma
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.arpa.reading import _split_rows, read_arpa
from fastrnn.ngram.arpa.writing import _put_number
from tests import reference_arpa

# As SRILM writes it: words before \data\, no <unk>, backoffs only where something follows, tabs, n-grams sorted
# otherwise; pruned, so that "b c" is there without being the context of anything, and "a b c" without "b c a".
SRILM = r"""
written by hand

\data\
ngram 1=5
ngram 2=4
ngram 3=2

\1-grams:
-0.7	</s>
-99	<s>	-0.31
-0.5	a	-0.25
-0.61	b	-0.125
-0.9	c

\2-grams:
-0.2	<s> a	0.05
-0.3	b c
-0.45	a b	-0.75
-1.5	c </s>

\3-grams:
-0.15	<s> a b
-0.05	a b </s>

\end\
"""

# Other white space, upper case, no empty lines, exponents; "x y z" lacks both its context "x y" and its suffix "y z".
ODD = (
    "\\data\\\r\n ngram 1 = 6\r\nngram  2=1\nngram 3=2\n\\1-grams:\n-1.5e0 <UNK>\t 0\r\n-INF <s> -2E-1\n"
    "  -.25 </s>\n-1. x +.5\n-01.50 y\t-1\n-2 z\n\\2-grams:\n-0.5 <s>  x  -0.125\n\\3-grams:\n"
    "-0.75\tx y z\n-1\t<s> x y 0\n\\end\\\ntrailing words"
)


@pytest.fixture
def kenlm_dir(reference_dir):
    return reference_dir / "kenlm"


def write(path, text, opener=open):
    with opener(path, "wb") as file:
        file.write(text.encode())
    return path


def fit(order, X, **parameters):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The Kneser-Ney discounts")
        return NGramLanguageModel(order, tokenizer="whitespace", **parameters).fit(X)


def numbers(content):
    """Return n-gram -> the text of its numbers, a missing backoff as 0."""
    rows = [line.split() for line in content.splitlines() if line[:1] in "-0123456789" and line]
    split = [([field for field in row[1:] if not _is_number(field)], row) for row in rows]
    return {tuple(words): (row[0], row[len(words) + 1] if row[len(words) + 1 :] else None) for words, row in split}


def _is_number(field):
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def assert_same_scores(model, levels, sentences):
    for bos in (True, False):
        for sentence, actual in zip(sentences, model.token_log_probs(sentences, bos=bos), strict=True):
            expected = np.array(reference_arpa.log10_probs(levels, sentence, bos)) * math.log(10)
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


# ----- numbers ------------------------------------------------------------------------------------------------------


def number_text(value):
    text = np.empty(40, np.uint8)
    return text[: _put_number(np.float32(value), text, 0)].tobytes().decode()


@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.floats(-20, -(2.0**-10), width=32)
)
def test_numbers_are_as_short_as_they_can_be(value):
    text = number_text(value)
    assert np.float32(text) == np.float32(value)
    digits = text.lower().partition("e")[0].replace(".", "").lstrip("-0")
    shortest = np.format_float_scientific(np.float32(value), unique=True).partition("e")[0]
    assert len(digits.rstrip("0")) == len(shortest.replace(".", "").strip("-0"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (-1, "-1"),
        (-0.30103, "-0.30103"),
        (-12.34, "-12.34"),
        (-1e-6, "-0.000001"),
        (-1.5e-7, "-1.5e-7"),
        (-4200, "-4200"),
        (3e20, "3e20"),
        (-9.999999, "-9.999999"),
        (-math.inf, "-99"),
    ],
)
def test_form_of_numbers(value, text):
    assert number_text(value) == text


def parse_number(text):
    block = np.frombuffer(f"{text} word\n".encode(), np.uint8)
    values = np.empty((1, 2), np.float32)
    n, _ = _split_rows(block, np.empty((1, 1, 2), np.int64), values)
    return values[0, 0] if n else None


@given(st.floats(-(2.0**99), 0, width=32))
def test_numbers_are_read_exactly(value):
    shortest = str(np.float32(value))
    for text in (shortest, f"{value:.17g}", f"{value:.25f}" if abs(value) < 1e9 else shortest, f"{value:.12e}"):
        assert parse_number(text) == np.float32(text)


NO_LOG_PROBABILITIES = "nan -nan - 1 0.1 inf -1x --1 -1.2.3 -1e -1e2. -x1 -infinity -in . -1e+ -1,5".split()


@pytest.mark.parametrize("text", ["", *NO_LOG_PROBABILITIES])
def test_what_is_no_log_probability(text):
    assert parse_number(text) is None


# ----- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SRILM, ODD])
def test_files_of_other_toolkits(tmp_path, text):
    model = NGramLanguageModel.from_arpa(write(tmp_path / "model", text))
    levels = reference_arpa.parse(text.replace("<UNK>", "<unk>").encode())
    words = [word for (word,) in levels[0] if word not in ("<s>", "</s>", "<unk>")]
    assert model.order == 3
    assert model.vocabulary_.tokens[4:] == words
    sentences = [list(tokens) for n in range(4) for tokens in itertools.product([*words, "unknown"], repeat=n)]
    assert_same_scores(model, levels, sentences)


def test_without_unk_unknown_words_are_impossible(tmp_path):
    model = NGramLanguageModel.from_arpa(write(tmp_path / "model", SRILM))
    perplexity = model.perplexity(["a z"])
    assert (perplexity, perplexity.n_oov) == (math.inf, 1)
    assert 1 < perplexity.without_oov < 100


def test_what_the_file_says_of_start_is_no_probability(tmp_path):
    path = write(tmp_path / "model", ODD.replace("-INF <s>", "0 <s>"))
    model = NGramLanguageModel.from_arpa(path)
    assert model.predict_proba(["", "x", "x y"])[:, model.vocabulary_.start_id].tolist() == [0, 0, 0]


@pytest.mark.parametrize("space", ["\xa0", "\u2009", "\u3000", "\u2028", "\x85", "\x1c"])
def test_words_with_other_spaces_than_those_of_ascii(tmp_path, space):
    model = NGramLanguageModel.from_arpa(write(tmp_path / "model", SRILM.replace("b", f"10{space}000")))
    same = NGramLanguageModel.from_arpa(write(tmp_path / "same", SRILM))
    assert model.vocabulary_.tokens[4:] == ["a", f"10{space}000", "c"]
    for texts in (["a b c", "b b"], ["b"], ["a\tb\r\nc\vb\fa"] * 9):  # a few, and many, which take another way
        expected = [text.replace("b", f"10{space}000") for text in texts]
        np.testing.assert_array_equal(model.score_samples(expected), same.score_samples(texts))
        assert model.perplexity(expected).n_oov == 0
    model.to_arpa(tmp_path / "again")
    assert NGramLanguageModel.from_arpa(tmp_path / "again").vocabulary_ == model.vocabulary_


@pytest.mark.parametrize("opener", [open, gzip.open, bz2.open, lzma.open])
def test_compressed_files(tmp_path, opener):
    path = write(tmp_path / "model", SRILM, opener)
    assert read_arpa(path).tokens[4:] == ["a", "b", "c"]


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = write(tmp_path / "model", "\ufeff" + SRILM.lstrip())
    assert read_arpa(path).tokens[4:] == ["a", "b", "c"]


@pytest.mark.parametrize("n_bytes", [40, 41, 77, 1000])
def test_blocks(tmp_path, monkeypatch, n_bytes):
    expected = read_arpa(write(tmp_path / "model", SRILM))
    monkeypatch.setattr("fastrnn.ngram.arpa.reading._BLOCK_BYTES", n_bytes)
    actual = read_arpa(tmp_path / "model")
    assert (actual.tokens, actual.lines) == (expected.tokens, expected.lines)
    for level, other in zip(actual.levels, expected.levels, strict=True):
        for array, same in zip(level, other, strict=True):
            np.testing.assert_array_equal(array, same)


def test_parameters_of_reading(tmp_path):
    path = write(tmp_path / "model", SRILM)
    model = NGramLanguageModel.from_arpa(path, tokenizer="chars", lowercase=True)
    assert model.score(["Ab"]) == NGramLanguageModel.from_arpa(path).score(["a b"])
    with pytest.raises(ValueError, match="partial_fit needs the text"):
        model.partial_fit(["a"])
    model.set_params(smoothing="add_k").fit([["a", "b"]])
    assert model.vocabulary_.tokens[4:] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-0.5\ta", "-x\ta", r"line 12: expected log10 of a probability, 1 words, .* got '-x\\ta\\t-0.25'"),
        ("-0.5\ta", "nan\ta", "line 12: expected log10 of a probability"),
        ("-0.5\ta", "0.5\ta", "line 12: expected log10 of a probability"),
        ("-0.25", "NaN", "line 12: expected .* perhaps log10 of a backoff"),
        ("-0.25", "inf", "line 12: expected .* perhaps log10 of a backoff"),
        ("-0.3\tb c", "-0.3\tb", "line 18: expected log10 of a probability, 2 words, .* got '-0.3.tb'"),
        ("-0.3\tb c", "-0.3\tb c d", "line 18: expected"),
        ("-0.3\tb c", "-0.3\tb c -1 -1", "line 18: expected"),
        ("-0.3\tb c", "-0.3\tb d", "line 18: 'd' is not among the 1-grams"),
        ("-0.3\tb c", "-0.3\tb c\n-0.4\tb c", "line 22: there are 5 2-grams, .data. says 4"),
        ("-0.3\tb c", "-0.3\ta b", "line 19: the n-gram occurs twice"),
        ("-0.3\tb c\n", "", "line 20: there are 3 2-grams, .data. says 4"),
        ("-0.3\tb c\n", "-0.3\tb c\n\n", "line 19: there are 2 2-grams, .data. says 4"),
        ("-0.61\tb", "-0.61\ta", "line 13: 'a' occurs twice among the 1-grams"),
        ("-0.61\tb", "-0.61\t<pad>", "line 13: the word <pad> is reserved"),
        ("-0.61\tb", "-0.61\tb\0", r"line 13: 'b\\x00' is no text in UTF-8"),
        ("-99\t<s>", "-99\tstart", "line 15: the 1-grams have no <s>"),
        ("-0.7\t</s>", "-0.7\tend", "line 15: the 1-grams have no </s>"),
        ("ngram 2=4", "ngram 3=4", r"line 6: expected ngram 2=…, got 'ngram 3=4'"),
        ("ngram 1=5", "ngram one", r"line 5: expected ngram 1=…, got 'ngram one'"),
        ("ngram 3=2", "", r"line 22: expected \\end\\, got '.3-grams:'"),
        ("\\2-grams:", "\\4-grams:", r"line 16: expected \\2-grams:, got '.4-grams:'"),
        ("\\end\\", "", r"line 26: expected \\end\\, the file ends before it: it is truncated"),
        ("\\data\\", "data", r"model is no ARPA file: it has no line \\data\\"),
    ],
)
def test_errors_name_the_line(tmp_path, old, new, message):
    assert SRILM.count(old) == 1
    path = write(tmp_path / "model", SRILM.replace(old, new))
    with pytest.raises(ValueError, match=message):
        NGramLanguageModel.from_arpa(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "model is no ARPA file"),
        (b"\x7fELF\0\1\2\n\3" * 99, "model is no ARPA file"),
        (SRILM.replace("\tb", "\t\xfc").encode("latin-1"), r"line 13: '\\xfc' is no text in UTF-8"),
        (gzip.compress(SRILM.encode(), mtime=0)[:-20], "model is a damaged or truncated compressed file"),
        (bz2.compress(SRILM.encode())[:-20], "model is a damaged or truncated compressed file"),
        (lzma.compress(SRILM.encode())[:-20], "model is a damaged or truncated compressed file"),
        (b"\x1f\x8bno gzip", "model is a damaged or truncated compressed file"),
    ],
)
def test_files_that_are_something_else(tmp_path, content, message):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        NGramLanguageModel.from_arpa(tmp_path / "model")


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("fastrnn.ngram.arpa.reading._BLOCK_BYTES", 100)
    with pytest.raises(ValueError, match="line 1: the line is longer than 100 bytes"):
        read_arpa(write(tmp_path / "model", "x" * 1000))


def test_more_orders_than_the_model_has(tmp_path):
    orders = range(1, 18)
    head = "".join(f"ngram {k}={2 if k == 1 else 0}\n" for k in orders)
    body = "".join(f"\\{k}-grams:\n" + "-1 <s>\n-1 </s>\n" * (k == 1) for k in orders)
    path = write(tmp_path / "model", f"\\data\\\n{head}{body}\\end\\\n")
    with pytest.raises(ValueError, match="model has n-grams of up to 17 words, more than 16"):
        NGramLanguageModel.from_arpa(path)


# ----- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"smoothing": "add_k"}, {"smoothing": "mle"}])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_round_trip(tmp_path, order, parameters):
    train = ["a b c a", "b ü", "", "a b c b", "-1 c 0.5"]
    test = ["a b c", "ü z", "", "b -1 0.5"]
    model = fit(order, train, **parameters)
    model.to_arpa(tmp_path / "first")
    again = NGramLanguageModel.from_arpa(tmp_path / "first")
    assert again.vocabulary_ == model.vocabulary_
    assert again.n_ngrams_ == model.n_ngrams_ or parameters == {"smoothing": "mle"}
    np.testing.assert_array_equal(again.score_samples(test), model.score_samples(test))
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
    again.to_arpa(tmp_path / "second")
    assert (tmp_path / "second").read_bytes() == (tmp_path / "first").read_bytes()
    levels = reference_arpa.parse((tmp_path / "first").read_bytes())
    assert_same_scores(model, levels, [sentence.split() for sentence in test])


def test_numbers_of_another_toolkit_come_back(tmp_path):
    model = NGramLanguageModel.from_arpa(write(tmp_path / "model", SRILM))
    model.save(tmp_path / "binary")
    NGramLanguageModel.load(tmp_path / "binary").to_arpa(tmp_path / "again")
    before, after = numbers(SRILM), numbers((tmp_path / "again").read_text())
    assert len(before) == 11
    assert {ngram: after[ngram][0] for ngram in before} == {ngram: row[0] for ngram, row in before.items()}
    assert {ngram: after[ngram][1] or "0" for ngram in before} == {n: row[1] or "0" for n, row in before.items()}
    # What "a b </s>" lacked was added: its suffix, with the probability of backing off from b.
    assert set(after) - set(before) == {("b", "</s>")}
    assert float(after["b", "</s>"][0]) == pytest.approx(-0.125 - 0.7)


@pytest.mark.parametrize(("suffix", "opener"), [("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)])
def test_compressed_writing(tmp_path, suffix, opener):
    model = fit(2, ["a b", "b"])
    model.to_arpa(tmp_path / "model")
    for _ in range(2):
        model.to_arpa(tmp_path / f"model.{suffix}")
        with opener(tmp_path / f"model.{suffix}") as file:
            assert file.read() == (tmp_path / "model").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_writing_does_not_change_the_model(tmp_path):
    model = fit(2, ["a b", "b"])
    before = model.predict_proba(["", "a", "b"])
    model.to_arpa(tmp_path / "model")
    np.testing.assert_array_equal(model.predict_proba(["", "a", "b"]), before)


@pytest.mark.parametrize("token", [" ", "a b", "\n", "\t", "", "\0"])
def test_tokens_that_cannot_be_written(tmp_path, token):
    model = fit(2, [["a", token]])
    with pytest.raises(ValueError, match="cannot be written to an ARPA file, where white space separates words"):
        model.to_arpa(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tinyshakespeare-char-5gram", "warandpeace-3gram-prune001", "warandpeace-3gram"])
def test_reference_files_come_back_line_by_line(kenlm_dir, tmp_path, name):
    path = kenlm_dir / f"{name}.arpa.gz"
    NGramLanguageModel.from_arpa(path).to_arpa(tmp_path / "model")
    with gzip.open(path) as file:
        assert sorted((tmp_path / "model").read_bytes().split(b"\n")) == sorted(file.read().split(b"\n"))


def test_reference_perplexity(kenlm_dir, data_dir):
    model = NGramLanguageModel.from_arpa(kenlm_dir / "warandpeace-3gram.arpa.gz")
    lines = (data_dir / "warandpeace" / "test.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in (kenlm_dir / "summary.tsv").read_text().splitlines()]
    (expected,) = (row[rows[0].index("ppl_test")] for row in rows if row[:3] == ["warandpeace", "3", "none"])
    assert model.perplexity(lines) == pytest.approx(float(expected), rel=1e-6)


def test_words_that_cannot_be_encoded_come_back(tmp_path):
    half, path = "\ud83d", tmp_path / "model.arpa"
    model = NGramLanguageModel(2, "add_k", tokenizer="whitespace").fit([f"a {half} {half}b", "a b"])
    model.to_arpa(path)
    read = NGramLanguageModel.from_arpa(path)
    assert read.vocabulary_ == model.vocabulary_
    np.testing.assert_allclose(read.score_samples([f"a {half}"]), model.score_samples([f"a {half}"]), rtol=1e-6)
