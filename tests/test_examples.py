"""The examples run, and show what they promise."""

import pathlib
import runpy

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
