"""Damaged files give one clear error, never a crash or a wrong model; failed saves leave what was there."""

import gzip
import math
import mmap
import subprocess
import sys
import warnings

import numpy as np
import pytest

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.arpa.reading import read_arpa
from tests import reference_arpa

TRAIN = ["a b c a", "b ü", "", "a b c b", "c a"]
TEST = ["a b c ü", "", "c c z"]


@pytest.fixture(scope="module")
def model():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The Kneser-Ney discounts")
        return NGramLanguageModel(3, tokenizer="whitespace").fit(TRAIN)


@pytest.fixture
def arpa(model, tmp_path):
    path = tmp_path / "model.arpa"
    model.to_arpa(path)
    return path


@pytest.fixture
def binary(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


# ----- ARPA files, against a plain parser -----------------------------------------------------------------------------

PIECES = rb"\ - + 0 9 . e nan inf -inf -1e-3 <unk> <UNK> <s> </s> <pad> a z ngram 1= \2-grams: \end\ ".split()
PIECES += [b"\n", b" ", b"\t", b"\r", b"\0", b"\xff", b"\xc3"]


def mutate(content, rng):
    """Return `content` after one to three changes: bytes, pieces and lines replaced, removed, doubled or moved."""
    for _ in range(rng.integers(1, 4)):
        lines = content.split(b"\n")
        i, j = sorted(rng.integers(0, len(content) + 1, 2).tolist())
        m, n = rng.integers(0, len(lines), 2).tolist()
        piece = PIECES[rng.integers(len(PIECES))]
        changed = [
            content[:i],
            content[:i] + content[j:],
            content[:i] + content[i + 1 :],
            content[:i] + rng.bytes(1) + content[i + 1 :],
            content[:i] + piece + content[i:],
            content[:i] + piece + content[i + len(piece) :],
            b"\n".join([*lines[:m], *lines[m + 1 :]]),
            b"\n".join([*lines[:m], lines[n], *lines[m:]]),
            b"\n".join([*lines[:m], lines[n], *lines[m + 1 :]]),
        ]
        content = changed[rng.integers(len(changed))]
    return content


def expected_levels(content):
    """Return what the plain parser reads, or None where it finds a mistake."""
    try:
        return reference_arpa.parse(content)
    except (ValueError, LookupError, AttributeError):
        return None


def attempt(read, path):
    """Return a model and None, or None and the message of a ValueError."""
    try:
        return read(path), None
    except ValueError as error:
        return None, str(error)


def test_mutations_of_an_arpa_file(arpa):
    original, rng = arpa.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(3000):
        content = mutate(original, rng)
        arpa.write_bytes(content)
        levels = expected_levels(content)
        if levels is None:
            refused += 1
            with pytest.raises(ValueError, match=r"model\.arpa(, line \d+: | is no ARPA file: |, )") as caught:
                NGramLanguageModel.from_arpa(arpa)
            assert "\n" not in str(caught.value)
            continue
        model = NGramLanguageModel.from_arpa(arpa)
        file = read_arpa(arpa)
        assert [len(ids) for ids, *_ in file.levels] == [len(level) for level in levels]
        for sentence, actual in zip(TEST, model.token_log_probs(TEST), strict=True):
            expected = np.array(reference_arpa.log10_probs(levels, sentence.split())) * math.log(10)
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert 500 < refused < 2900  # both happen often


def test_mutations_of_a_compressed_arpa_file(arpa):
    original, rng = gzip.compress(arpa.read_bytes(), mtime=0), np.random.default_rng(0)
    expected = NGramLanguageModel.from_arpa(arpa).score_samples(TEST)
    for _ in range(300):
        place = rng.integers(len(original))
        arpa.write_bytes(original[:place] + bytes([original[place] ^ (1 << rng.integers(8))]) + original[place + 1 :])
        model, error = attempt(NGramLanguageModel.from_arpa, arpa)
        if error:
            assert error.startswith(str(arpa))
        else:  # what carries nothing: the time of compression for instance
            np.testing.assert_array_equal(model.score_samples(TEST), expected)


# ----- saved models -------------------------------------------------------------------------------------------------


def test_mutations_of_a_saved_model(model, binary):
    original, rng = binary.read_bytes(), np.random.default_rng(0)
    expected = model.score_samples(TEST)
    refused = 0
    for _ in range(2000):
        content = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(content))
            content[place : place + rng.integers(0, 3)] = rng.bytes(rng.integers(0, 3))
        binary.write_bytes(content[: rng.integers(len(content))] if rng.integers(5) == 0 else content)
        loaded, error = attempt(NGramLanguageModel.load, binary)
        if error:
            refused += 1
            assert error.startswith(str(binary))
        else:  # bytes that were replaced by themselves, or white space of the header
            np.testing.assert_array_equal(loaded.score_samples(TEST), expected)
    assert refused > 1500


def test_without_verification_the_header_is_still_checked(model, binary):
    content = binary.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    binary.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    NGramLanguageModel.load(binary, verify=False)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: its checksum does not match"):
        NGramLanguageModel.load(binary)
    place = content.index(b"whitespace")
    assert place < start
    binary.write_bytes(content[:place] + b"W" + content[place + 1 :])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: its checksum does not match"):
        NGramLanguageModel.load(binary, verify=False)
    binary.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"or it is damaged \(its part \w+ is cut off\)"):
        NGramLanguageModel.load(binary, verify=False)


@pytest.mark.parametrize("content", [b"PK\3\4" * 99, b"", b"\0" * 99, SystemError.__doc__.encode() * 9])
def test_a_binary_that_is_not_ours(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="other is no saved model, or it is damaged"):
        NGramLanguageModel.load(path)
    with pytest.raises(ValueError, match="other is no ARPA file"):
        NGramLanguageModel.from_arpa(path)


def owner(array):
    """Return what the memory of an array belongs to."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def test_a_loaded_model_is_mapped(model, binary):
    loaded = NGramLanguageModel.load(binary)
    owners = {owner(array) for array in loaded._table if array.size}
    assert [type(memory) for memory in owners] == [mmap.mmap]
    before = binary.read_bytes()
    loaded._table.log_probs[4:] = -1  # in this process only
    assert binary.read_bytes() == before
    loaded = NGramLanguageModel.load(binary)
    loaded.save(binary)  # what it is mapped to is replaced, not written to
    np.testing.assert_array_equal(loaded.score_samples(TEST), model.score_samples(TEST))
    np.testing.assert_array_equal(NGramLanguageModel.load(binary).score_samples(TEST), model.score_samples(TEST))


# ----- a full disk ----------------------------------------------------------------------------------------------------

FULL_DISK = """
import pathlib, resource, signal, sys
from fastrnn.ngram import NGramLanguageModel
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error in place of the end of the process
model = NGramLanguageModel.load("old")
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
for write in (model.save, model.to_arpa, lambda name: model.to_arpa(name + ".bz2"), model.vocabulary_.save):
    for name in ("old", "new"):
        try:
            write(name)
        except OSError as error:
            print("refused" if "large" in str(error) else error)
"""


def test_a_full_disk_leaves_no_half_file(model, tmp_path):
    large = NGramLanguageModel(2, tokenizer="whitespace", smoothing="add_k").fit([[f"{i * i}" for i in range(2000)]])
    large.save(tmp_path / "old")
    before = (tmp_path / "old").read_bytes()
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK], cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path), "FASTRNN_CACHE": "0"},
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert process.stdout.split() == ["refused"] * 8
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == before


def test_an_error_while_writing_leaves_what_was_there(model, arpa, monkeypatch):
    before = arpa.read_bytes()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastrnn.ngram.arpa.writing._format_rows", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.to_arpa(arpa)
    assert arpa.read_bytes() == before
    assert [path.name for path in arpa.parent.iterdir()] == ["model.arpa"]
