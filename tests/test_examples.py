"""The examples run, and show what they promise; so does the README."""

import pathlib
import re
import runpy

from fastrnn import RNNLanguageModel

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def test_hello(capsys):
    runpy.run_path(EXAMPLES / "hello.py")
    assert capsys.readouterr().out.endswith("-> hello\n")


def test_compare_language_models(capsys):
    content = runpy.run_path(EXAMPLES / "compare_language_models.py")
    out = capsys.readouterr().out
    assert {result.kind for result in content["results"]} == {"ngram", "rnn"}
    for result in content["results"]:
        # Better than chance, worse than the text would be to someone who knows it.
        assert 5 < result.test_perplexity < len(content["vocabulary"]) / 3
        assert f"\n{result.model}: {result.sample}\n" in out


def test_every_example_is_tested():
    tested = {"hello.py", "compare_language_models.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_readme(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a model
    (code,) = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(code, names)
    ngrams, lstm = names["ngrams"], names["lstm"]
    assert ngrams.vocabulary_ == lstm.vocabulary_
    assert capsys.readouterr().out.count("The value of") == 2
    loaded = RNNLanguageModel.load("lstm.safetensors")
    assert loaded.perplexity(names["test"]) == lstm.perplexity(names["test"])
