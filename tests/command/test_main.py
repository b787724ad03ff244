"""The ``fastrnn`` command: what it prints, writes, refuses and returns."""

import contextlib
import fcntl
import functools
import gzip
import json
import os
import pathlib
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings

import pytest

import fastrnn
from fastrnn import CRFTagger, MeanEmbeddingClassifier, NGramLanguageModel
from fastrnn.command import main as cli
from fastrnn.datasets import load_python_docs
from fastrnn.utils.gpu import describe_gpus
from tests.fakes import NetworkModel, UnigramModel

MODEL_KEYS = "model kind parameters bytes fit_seconds valid_perplexity test_perplexity tokens_per_second sample".split()
TEXT = "".join(
    f"The {noun} of line {i} is here, and the {noun} is old.\n" for i, noun in enumerate(["dog", "cat"] * 30)
)


@pytest.fixture
def quick_models(monkeypatch):
    """Let the command compare models that fit in an instant."""

    def build_models(arguments, vocabulary):
        shared = {"vocabulary": vocabulary, "tokenizer": arguments.tokenizer}
        return {"flat": UnigramModel(k=1e6, **shared), "counts": NetworkModel(**shared)}

    monkeypatch.setattr(cli, "build_models", build_models)


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def run(command):
    """Return a function that runs the subcommand, see `command`."""
    return functools.partial(command, "compare")


@pytest.mark.usefixtures("quick_models")
class TestResults:
    def test_the_table_stands_best_first_and_a_sample_follows(self, run, text_file):
        status, out, err = run(text_file)
        assert (status, err) == (0, "")
        lines = out.split("\n")
        assert lines[0] == str(text_file)
        place = next(i for i, line in enumerate(lines) if line.startswith("model"))
        assert lines[place + 1].startswith("counts ")
        assert lines[place + 2].startswith("flat ")
        assert "bits/char" not in out
        assert lines.index("counts:") < lines.index("flat:")
        assert lines[lines.index("counts:") + 1].startswith("  ")

    def test_the_split_is_contiguous_and_the_vocabulary_comes_from_the_training_part(self, run, tmp_path):
        path = tmp_path / "text.txt"
        lines = ["both both"] * 8 + ["valid both"] + ["test test test"]
        path.write_text("\n\n".join(lines) + "\n\n")
        status, _, _ = run(path, "--json", tmp_path / "out.json")
        data = json.loads((tmp_path / "out.json").read_text())["data"]
        assert status == 0
        assert data["vocabulary_size"] == 5
        assert data["sentences"] == {"train": 8, "valid": 1, "test": 1}
        assert data["tokens"] == {"train": 16, "valid": 2, "test": 3}
        assert data["out_of_vocabulary"] == {"train": 0, "valid": 1, "test": 3}

    def test_a_token_seen_once_is_unknown(self, run, tmp_path):
        path = tmp_path / "text.txt"
        path.write_text("twice\n" * 7 + "once\n" + "once\n" * 2)
        run(path, "--json", tmp_path / "out.json")
        data = json.loads((tmp_path / "out.json").read_text())["data"]
        assert data["out_of_vocabulary"] == {"train": 1, "valid": 1, "test": 1}

    def test_characters_are_cut_as_one_document(self, run, tmp_path):
        path = tmp_path / "text.txt"
        path.write_text("abcde\n" * 200)
        status, out, _ = run(path, "--tokenizer", "chars", "--json", tmp_path / "out.json")
        data = json.loads((tmp_path / "out.json").read_text())["data"]
        assert status == 0
        assert "test bits/char" in out
        assert data["sentences"] == {"train": 1, "valid": 1, "test": 1}
        assert data["tokens"] == {"train": 959, "valid": 120, "test": 120}
        assert data["vocabulary_size"] == 4 + 6

    def test_several_files_are_read_in_order(self, run, tmp_path):
        for name in ("b", "a"):
            (tmp_path / name).write_text(f"{name}\n" * 5)
        run(tmp_path / "b", tmp_path / "a", "--json", tmp_path / "out.json")
        data = json.loads((tmp_path / "out.json").read_text())["data"]
        assert data["source"] == f"{tmp_path / 'b'}, {tmp_path / 'a'}"
        assert data["out_of_vocabulary"] == {"train": 0, "valid": 0, "test": 0}
        assert data["vocabulary_size"] == 6

    def test_the_json_is_complete_and_replaces_what_was_there(self, run, text_file, tmp_path):
        out = tmp_path / "out.json"
        out.write_text("old")
        status, _, _ = run(text_file, "--json", out)
        content = json.loads(out.read_text())
        assert status == 0
        assert set(content) == {"data", "models"}
        assert [list(model) for model in content["models"]] == [MODEL_KEYS] * 2
        assert [model["kind"] for model in content["models"]] == ["rnn", "ngram"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "text.txt"]

    def test_the_plot_is_written(self, run, text_file, tmp_path):
        status, _, _ = run(text_file, "--plot", tmp_path / "out.png")
        assert status == 0
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")

    def test_the_same_seed_gives_the_same_samples(self, run, text_file):
        outs = [run(text_file, "--seed", seed)[1].partition("\n\ncounts:")[2] for seed in (1, 1, 2)]
        assert outs[0] == outs[1] != outs[2]

    def test_python_documentation_is_the_default(self, run):
        status, out, _ = run()
        assert status == 0
        assert "pydoc_data.topics" in out.split("\n")[0]

    def test_results_that_cannot_be_written_are_shown(self, run, text_file, tmp_path, monkeypatch):
        def fail(*arguments):
            raise OSError("No space left on device")

        monkeypatch.setattr("fastrnn.language.comparison.plot_results", fail)
        status, out, err = run(text_file, "--plot", tmp_path / "out.png")
        assert status == 2
        assert "counts" in out
        assert err == "fastrnn compare: error: the results could not be written: No space left on device\n"


class TestMistakes:
    """One clear line, exit status 2, before any model is fitted."""

    @pytest.fixture(autouse=True)
    def _no_models(self, monkeypatch):
        monkeypatch.setattr(cli, "build_models", lambda *_: pytest.fail("models were built"))

    def check(self, run, *arguments, says):
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        assert err.startswith("fastrnn compare: error: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert says in err

    def test_missing_file(self, run, tmp_path):
        self.check(run, tmp_path / "none.txt", says="none.txt: No such file or directory")

    def test_folder(self, run, tmp_path):
        self.check(run, tmp_path, says=f"{tmp_path} is a folder without a file that ends in .txt")

    @pytest.mark.parametrize("content", [b"", b" \n\n\t\n"])
    def test_empty_file(self, run, tmp_path, content):
        (tmp_path / "empty.txt").write_bytes(content)
        self.check(run, tmp_path / "empty.txt", says="empty.txt: there is no text in it")

    @pytest.mark.parametrize(
        ("content", "says"),
        [(b"\x89PNG\r\n\x1a\n\xff\xfe" * 99, "binary, line 1: the text is not in utf-8"),
         (b"text\n\0\n" * 99, "binary: not a text file")],
    )  # fmt: skip
    def test_binary_file(self, run, tmp_path, content, says):
        (tmp_path / "binary").write_bytes(content)
        self.check(run, tmp_path / "binary", says=says)

    def test_short_text(self, run, tmp_path):
        (tmp_path / "short.txt").write_text("one\ntwo\n")
        self.check(run, tmp_path / "short.txt", says="short.txt: too short: 2 lines of text, at least 10")
        self.check(run, tmp_path / "short.txt", "--tokenizer", "chars", says="too short: 7 characters, at least 1000")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--tokenizer", "bytes"], "'bytes'"),
            (["--orders", "2,x"], "argument --orders: expected an integer from 1 to 16, got 'x'"),
            (["--orders", "0"], "got '0'"),
            (["--cells", "lstm,elman"], "argument --cells: expected cells among rnn, "),
            (["--cells", "", "--orders", ""], "there is no model to compare"),
            (["--hidden-size", "-3"], "argument --hidden-size: expected an integer from 1"),
            (["--max-iter", "0"], "argument --max-iter"),
            (["--seed", "-1"], "argument --seed"),
            (["--plot", "out.txt"], "--plot out.txt: the file's name must end in one of"),
            (["--json", "no/such/folder/out.json"], "--json no/such/folder/out.json: No such file or directory"),
        ],
    )
    def test_wrong_value(self, run, arguments, says):
        self.check(run, *arguments, says=says)

    def test_output_is_a_folder(self, run, tmp_path):
        self.check(run, "--json", tmp_path, says="is a directory")

    def test_output_would_replace_the_text(self, run, text_file):
        self.check(run, text_file, "--json", text_file, says="would replace a file")
        assert text_file.read_text() == TEXT

    def test_matplotlib_is_missing(self, run, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
        self.check(run, "--plot", tmp_path / "out.png", says="--plot needs matplotlib: pip install matplotlib")

    def test_unknown_command(self, command):
        status, _, err = command("contrast")
        assert (status, err.count("\n")) == (2, 1)


@pytest.mark.usefixtures("quick_models")
def test_reserved_tokens_in_the_text(run, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b </s>\n" * 20)
    status, _, err = run(path, "--tokenizer", "whitespace")
    assert status == 2
    assert err.startswith(f"fastrnn compare: error: {path}: ")
    assert "'</s>'" in err


def test_models_too_large_for_the_memory(run, text_file, monkeypatch):
    class LargeModel(UnigramModel):
        def fit(self, X, y=None):
            raise MemoryError("Unable to allocate 14.6 TiB")

    monkeypatch.setattr(cli, "build_models", lambda _, vocabulary: {"m": LargeModel(vocabulary=vocabulary)})
    status, _, err = run(text_file)
    assert status == 2
    assert err == "fastrnn compare: error: there is too little memory: Unable to allocate 14.6 TiB\n"


def test_ctrl_c_ends_the_command_even_within_fit(run, text_file, monkeypatch, tmp_path):
    class InterruptedModel(UnigramModel):
        def fit(self, X, y=None):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:  # as networks do, to keep the last finished epoch
                pytest.fail("the estimator took the interrupt")

    monkeypatch.setattr(cli, "build_models", lambda _, vocabulary: {"m": InterruptedModel(vocabulary=vocabulary)})
    handler = signal.getsignal(signal.SIGINT)
    status, _, err = run(text_file, "--json", tmp_path / "out.json")
    assert (status, err) == (130, "fastrnn compare: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "out.json").exists()


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_warning_is_one_line(run, text_file, monkeypatch):
    class WarningModel(UnigramModel):
        def fit(self, X, y=None):
            warnings.warn("The text is small.", UserWarning, stacklevel=2)
            return super().fit(X)

    monkeypatch.setattr(cli, "build_models", lambda _, vocabulary: {"m": WarningModel(vocabulary=vocabulary)})
    status, _, err = run(text_file)
    assert (status, err) == (0, "fastrnn compare: warning: The text is small.\n")


@pytest.fixture(scope="module")
def docs_file(tmp_path_factory):
    """Return a file of English sentences."""
    path = tmp_path_factory.mktemp("text") / "docs.txt"
    path.write_text("\n".join(load_python_docs().data[:400]), encoding="utf-8")
    return path


SMALL = ["--orders", "2", "--cells", "gru", "--hidden-size", "8", "--max-iter", "2"]


def test_real_models_of_words(run, docs_file, tmp_path):
    status, out, err = run(docs_file, *SMALL, "--json", tmp_path / "out.json")
    assert (status, err) == (0, "")
    content = json.loads((tmp_path / "out.json").read_text())
    models = {model["kind"]: model for model in content["models"]}
    assert {kind: model["model"] for kind, model in models.items()} == {"ngram": "2-gram", "rnn": "GRU 8"}
    vocabulary_size = content["data"]["vocabulary_size"]
    # Embedding, input and recurrent weights and biases of three gates, output.
    assert models["rnn"]["parameters"] == vocabulary_size * 8 + 3 * (8 * 8 * 2 + 8 * 2) + 9 * vocabulary_size
    for model in models.values():
        assert 1 < model["test_perplexity"] < vocabulary_size
        assert model["sample"] in out


def test_real_models_of_characters(run, docs_file, tmp_path):
    status, _, err = run(docs_file, *SMALL, "--tokenizer", "chars", "--json", tmp_path / "out.json")
    assert (status, err) == (0, "")
    for model in json.loads((tmp_path / "out.json").read_text())["models"]:
        assert 1 < model["test_perplexity"] < 40
        assert 0 < len(model["sample"]) <= 200


def start_process(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "fastrnn", *map(str, arguments)],
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def run_process(*arguments):
    with start_process(*arguments) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_ctrl_c_while_a_network_trains(docs_file, tmp_path):
    endless = ["--orders", "", "--cells", "lstm", "--max-iter", "1000000", "--json", tmp_path / "out.json"]
    with start_process("compare", docs_file, *endless) as process:
        assert process.stdout.readline() == f"{docs_file}\n"  # printed before the first model is fitted
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err.splitlines()[-1]) == (130, "fastrnn compare: interrupted")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_on_a_terminal_and_vanishes(docs_file):
    terminal, stderr = pty.openpty()
    fcntl.ioctl(stderr, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # lines and columns
    with start_process("compare", docs_file, *SMALL, stderr=stderr) as process:
        os.close(stderr)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side has closed
            while piece := os.read(terminal, 65536):
                shown += piece
        out, _ = process.communicate(timeout=300)
    os.close(terminal)
    assert process.returncode == 0
    assert b"GRU 8" in shown
    assert b"language model" in shown
    assert shown.count(b"\n") == shown.count(b"\x1b[A")  # every line down is a line up later
    assert shown.split(b"\r")[-2].isspace()
    assert shown.endswith(b"\r")
    assert "\r" not in out


def test_it_runs_as_a_module():
    process = run_process("--version")
    gpus = describe_gpus()
    lines = [f"fastrnn {fastrnn.__version__}", *([f"GPU: {gpus}"] if gpus else [])]
    assert (process.returncode, process.stdout.splitlines()) == (0, lines)
    process = run_process("compare", "no such file")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "fastrnn compare: error: no such file: No such file or directory\n"


def test_help_names_every_option():
    process = run_process("compare", "--help")
    assert process.returncode == 0
    for (
        option
    ) in "--tokenizer --orders --cells --hidden-size --max-iter --device --precision --seed --json --plot".split():
        assert option in process.stdout


USES = ["score", "generate", "complete", "fill", "pairs"]
COMMANDS = [
    ["compare"], ["warmup"], *(["ngram", action] for action in ("fit", "convert", *USES)),
    *(["lm", action] for action in ("train", *USES)),
    *([name, action] for name in ("classify", "tag") for action in ("fit", "predict", "evaluate")),
]  # fmt: skip


@pytest.mark.parametrize("words", [[], ["ngram"], ["lm"], ["classify"], ["tag"], *COMMANDS], ids=" ".join)
def test_every_help_can_be_read(command, words):
    status, out, err = command(*words, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: {' '.join(['fastrnn', *words])} ")
    assert "%%" not in out
    assert "%(" not in out


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["score", "m", "--lines", "a.txt"], ["a.txt"]),
        (["score", "--lines", "m", "a.txt"], ["a.txt"]),
        (["score", "m", "a.txt", "--lines", "b.txt", "--encoding", "utf-8", "c.txt"], ["a.txt", "b.txt", "c.txt"]),
        (["score", "m", "--lines"], ["-"]),
        (["score", "m", "-", "--lines"], ["-"]),
        (["score", "m", "--lines", "--", "-a.txt"], ["-a.txt"]),
        (["train", "-o", "m", "a.txt", "--cell", "gru", "b.txt"], ["a.txt", "b.txt"]),
    ],
)
def test_files_stand_anywhere_among_the_options(arguments, files):
    parsed = cli._parse(["lm", *arguments])
    assert parsed.files == files
    assert vars(parsed).get("model", parsed.output if "output" in parsed else None) == pathlib.Path("m")
    assert arguments[0] == "train" or parsed.lines


def test_an_option_that_there_is_not(command):
    status, out, err = command("lm", "score", "m", "a.txt", "--line-by-line")
    assert (status, out, err) == (2, "", "fastrnn lm score: error: unrecognized arguments: --line-by-line\n")


@pytest.mark.parametrize("arguments", ["compare --help", "classify predict {model}", "ngram score {arpa} --lines -"])
def test_who_reads_the_output_may_stop(tmp_path, arguments):
    """As of other programs: no message, and the status of one that SIGPIPE ends."""
    texts = [text for text, _ in [("good", 1), ("bad", 0)] * 20]
    model = MeanEmbeddingClassifier(max_iter=1, random_state=0).fit(texts, [1, 0] * 20)
    model.save(tmp_path / "model")
    NGramLanguageModel(1, smoothing="add_k").fit(texts).to_arpa(tmp_path / "m.arpa")
    arguments = arguments.format(model=tmp_path / "model", arpa=tmp_path / "m.arpa").split()
    reading, writing = os.pipe()
    os.close(reading)
    with start_process(*arguments, stdin=subprocess.PIPE, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate("a good film\n" * 5000, timeout=300)
    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full, start_process("compare", "--help", stdout=full) as process:
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (2, "fastrnn: error: No space left on device\n")


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory):
    """Return a folder with files that are no text or no model, and models of each command."""
    folder = tmp_path_factory.mktemp("wrong")
    texts = [text for text, _ in [("good", 1), ("bad", 0)] * 20]
    MeanEmbeddingClassifier(max_iter=1, random_state=0).fit(texts, [1, 0] * 20).save(folder / "classify")
    NGramLanguageModel(1, smoothing="add_k").fit(texts).save(folder / "ngram")
    CRFTagger().fit([["good"], ["bad"]], [["1"], ["0"]]).save(folder / "tag")
    (folder / "good.txt").write_text("a good text\n" * 20)
    (folder / "empty").touch()
    (folder / "blank").write_text("\n \n")
    (folder / "binary").write_bytes(bytes(range(256)) * 20)
    (folder / "nul").write_bytes(b"text,label\na,b\na\0,b\n")
    (folder / "latin-1").write_bytes(b"text,label\nna\xefve,1\n")
    (folder / "damaged").write_bytes(gzip.compress(b"a text\n" * 1000)[:-20])
    (folder / "cut").write_bytes((folder / "classify").read_bytes()[:-9])
    (folder / "cut.arpa").write_text("\\data\\\nngram 1=9\n\n\\1-grams:\n-1 a\n")
    (folder / "folder").mkdir()
    return folder


NO_TEXTS = ["missing", "folder", "empty", "blank", "binary", "nul", "latin-1", "damaged"]


@pytest.mark.parametrize("file", NO_TEXTS)
@pytest.mark.parametrize(
    "arguments",
    ["compare {}", "ngram fit {} -o out", "ngram score ngram {}", "ngram pairs ngram {}", "lm train {} -o out",
     "lm train good.txt --valid {} -o out --cell rnn --hidden-size 4 --embedding-size 4 --max-iter 1",
     "classify fit {} -o out", "classify predict classify {} --text-column text", "classify evaluate classify {}",
     "tag fit {} -o out", "tag evaluate tag {}"],
)  # fmt: skip
def test_what_is_no_text_is_one_line(command, wrong_files, monkeypatch, arguments, file):
    monkeypatch.chdir(wrong_files)
    before = sorted(wrong_files.iterdir())
    status, out, err = command(*arguments.format(file).split())
    assert (status, out, err.count("\n"), sorted(wrong_files.iterdir())) == (2, "", 1, before)
    assert err.startswith(f"fastrnn {' '.join(arguments.split()[: 1 if arguments[0:3] == 'com' else 2])}: error: ")
    assert file in err


NO_MODELS = ["missing", "folder", "empty", "binary", "cut", "cut.arpa", "classify", "ngram"]


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, file) for name in ("ngram", "lm", "classify", "tag") for file in NO_MODELS if file != name],
)
def test_what_is_no_model_is_one_line(command, wrong_files, monkeypatch, name, file):
    monkeypatch.chdir(wrong_files)
    status, out, err = command(name, "predict" if name in ("classify", "tag") else "score", file, "good.txt")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"fastrnn {name} ")
    assert file in err
