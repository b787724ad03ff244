"""What stands in the README and in other documentation runs as it stands: Python blocks, shell blocks, commands."""

import argparse
import csv
import os
import pathlib
import re
import runpy
import shlex
import subprocess
import sys

import pytest

from fastrnn import RNNLanguageModel
from fastrnn.command import main as cli
from fastrnn.datasets import load_python_docs

ROOT = pathlib.Path(__file__).parents[1]
README, BENCHMARKS = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "benchmarks/README.md"))


def blocks(text, language):
    """Return the blocks of code of a language in a text."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_python_blocks(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # they write files
    names = {}
    for block in blocks(README, "python"):
        exec(block, names)
    ngrams, lstm = names["ngrams"], names["lstm"]
    assert ngrams.vocabulary_ == lstm.vocabulary_
    assert capsys.readouterr().out.count("The value of") == 5
    loaded = RNNLanguageModel.load("lstm.safetensors")
    assert loaded.perplexity(names["test"]) == lstm.perplexity(names["test"])


# Those that make environments are run by `.ci/run`, which has them in its stages.
INSTALLING = [block for block in blocks(README + BENCHMARKS, "bash") if "pip install" in block]
COMMANDS = [block for block in blocks(README, "bash") if block not in INSTALLING]


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the files that the commands of the README name, and with `fastrnn` in ``bin``."""
    lines = load_python_docs().data
    (tmp_path / "novel.txt").write_text("\n".join(lines[:150]), encoding="utf-8")
    (tmp_path / "test.txt").write_text("\n".join(lines[150:170]), encoding="utf-8")
    (tmp_path / "lines.txt").write_text("a fine film\nso dull\n", encoding="utf-8")
    for name in ("train.csv", "test.csv"):
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            rows = [("a fine film", "pos"), ("truly fine", "pos"), ("a dull film", "neg"), ("so dull", "neg")] * 25
            csv.writer(file).writerows([("review", "mood"), *rows])
    (tmp_path / "pairs.tsv").write_text("good\tbad\nthe value is found\tthe value are found\n", encoding="utf-8")
    for name in ("train.conll", "test.conll"):
        (tmp_path / name).write_text("Ann B-PER\nleft O\nRome B-LOC\n\nShe O\nleft O\n\n" * 5, encoding="utf-8")
    for name, words in (("english.txt", "one two three".split()), ("french.txt", "un deux trois".split())):
        (tmp_path / name).write_text("".join(f"{first} {second}\n" for first in words for second in words))
    command = tmp_path / "bin/fastrnn"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fastrnn "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: " ".join(block.split()[:3]))
def test_shell_blocks(block, folder):
    environment = {**os.environ, "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip()
    assert "error" not in process.stderr
    for name in re.findall(r"(?:-o|--output|--plot|--json) (\S+)", block):
        assert (folder / name).stat().st_size > 100


def test_blocks_that_install_are_stages_of_the_continuous_integration():
    stages = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for block in INSTALLING:
        for command in block.strip().split("\n"):
            parts = command.split(" && ")
            assert command in stages or all(part in stages for part in parts if part.startswith("asv")), command


def test_what_is_proposed_to_install_is_an_extra_of_the_package():
    extras = re.search(r"optional-dependencies\]\n(.*?)\n\n", (ROOT / "pyproject.toml").read_text(), re.DOTALL)[1]
    proposed = ",".join(re.findall(r"\.\[([\w,]+)\]", README + BENCHMARKS)).split(",")
    assert set(proposed) <= set(re.findall(r"^(\w+) =", extras, re.MULTILINE))


def test_commands_within_the_text():
    spans = re.findall(r"`(fastrnn [^`…]+)`", README + BENCHMARKS)
    assert "fastrnn warmup" in spans
    for span in spans:
        parsed = cli._parse(shlex.split(span)[1:])
        assert parsed.prog.startswith("fastrnn "), span


def benchmark_commands():
    """Yield module and arguments of every command of a benchmark; ``… words`` goes on from the command before."""
    rows = [line for line in (README + BENCHMARKS).splitlines() if "python -m benchmarks." in line]
    for line in rows:
        for span in re.findall(r"`([^`]+)`", line):
            if found := re.fullmatch(r"python -m benchmarks\.(\w+) ?(.*)", span):
                module, arguments = found[1], found[2].removesuffix("…").split()
            elif span.startswith("… "):
                arguments = [*arguments[:-1], *span[2:].split()]
            else:
                continue
            yield module, arguments
    for name in re.findall(r"\| `([a-z-]+)`(?:, …)? \|$", README, re.MULTILINE):  # the table of accuracies
        yield "quality", [name]


class _Parsed(Exception):
    pass


@pytest.mark.parametrize(
    ("module", "arguments"), dict.fromkeys((module, tuple(args)) for module, args in benchmark_commands()), ids=str
)
def test_commands_of_benchmarks_can_be_parsed(module, arguments, monkeypatch):
    def parse_args(self, args=None, namespace=None, original=argparse.ArgumentParser.parse_args):
        raise _Parsed(original(self, args, namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    if arguments == ("NAME",):  # stands for those in the table
        arguments = ("gun-point",)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(_Parsed):
        runpy.run_path(ROOT / f"benchmarks/{module}.py", run_name="__main__")


def test_every_benchmark_is_documented():
    named = {module for module, _ in benchmark_commands()}
    files = (ROOT / "benchmarks").glob("*.py")
    runnable = {path.stem for path in files if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    assert runnable == named
