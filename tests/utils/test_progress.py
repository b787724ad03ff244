"""Progress: a bar, lines through logging, or nothing."""

import contextlib
import io
import logging
import subprocess
import sys
import textwrap
import types

import numba
import pytest

from fastrnn import MeanEmbeddingClassifier, NGramLanguageModel, RNNLanguageModel
from fastrnn.language.comparison import compare_language_models
from fastrnn.utils.progress import Progress

LINES = ["the cat sat on the mat", "the dog sat on the log"] * 9


@contextlib.contextmanager
def bare_logging():
    """Make it as if nobody had configured logging (pytest has); return what is written to stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", io.StringIO())
        patch.setattr(logging.getLogger(), "handlers", [])
        yield sys.stderr


def work(verbose=1):
    with Progress("work", verbose) as progress:
        progress.update()
        progress.line("one line")


def test_lines_are_visible_where_logging_is_not_configured():
    with bare_logging() as stderr:
        work(verbose=0)
        assert stderr.getvalue() == ""
        with Progress("outer", 1) as progress:
            work()  # within another work the lines are not written twice
            progress.line("another")
        assert stderr.getvalue() == "work: one line\nouter: another\n"
        logger = logging.getLogger("fastrnn")
        assert (logger.handlers, logger.level) == ([], logging.NOTSET)
        logging.getLogger("fastrnn.anything").info("no longer")
        assert "no longer" not in stderr.getvalue()


@pytest.mark.parametrize("level", [logging.WARNING, logging.INFO])
def test_lines_go_where_the_user_wants_them(level, monkeypatch, capsys):
    stream, root, package = io.StringIO(), logging.getLogger(), logging.getLogger("fastrnn")
    monkeypatch.setattr(root, "handlers", [*root.handlers, logging.StreamHandler(stream)])
    before = root.level, package.level
    try:
        root.setLevel(level)
        work()
        assert stream.getvalue() == "work: one line\n"
        package.setLevel(logging.ERROR)
        work()
        assert stream.getvalue() == "work: one line\n"
    finally:
        root.setLevel(before[0])
        package.setLevel(before[1])
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_tells_of_the_compiler(monkeypatch):
    with bare_logging() as stderr:
        stderr.isatty = lambda: True
        with Progress("work", 1, total=3) as progress:
            numba.njit(lambda x: x + 1)(1)
            progress.update(2)
            progress.line("not visible")
            progress._bar.refresh()
        shown = stderr.getvalue()
        assert "work (compiling):" in shown
        assert "work:  67%" in shown
        assert "not visible" not in shown


def test_without_a_terminal_the_compiler_is_told_of_once():
    with bare_logging() as stderr:
        with Progress("work", 1):
            for k in range(2):
                numba.njit(lambda x, k=k: x + k)(1)
        assert stderr.getvalue() == "work: compiling kernels\n"


def test_a_notebook_without_widgets_gets_lines_and_no_warning(monkeypatch):
    with bare_logging() as stderr:
        shell = types.SimpleNamespace(config={"IPKernelApp": {}})
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
        monkeypatch.setitem(sys.modules, "ipywidgets", None)
        work()
        assert stderr.getvalue() == "work: one line\n"


def test_importing_the_package_in_a_notebook_warns_of_nothing():
    script = """
        import sys, types, warnings
        warnings.simplefilter("error")
        shell = types.SimpleNamespace(config={"IPKernelApp": {}}, kernel=None)
        sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell, version_info=(9,))
        sys.modules["ipywidgets"] = None
        import fastrnn, fastrnn.language.comparison, fastrnn.warmup
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_a_long_work_without_epochs_tells_how_far_it_is(monkeypatch):
    with bare_logging() as stderr:
        monkeypatch.setattr("fastrnn.utils.progress._LINE_SECONDS", 0)
        with Progress("work", 1, "texts") as progress:
            progress.count(1500)
        assert stderr.getvalue() == "work: 1,500 texts\n"


@pytest.mark.filterwarnings("ignore:.*discount")
def test_all_that_is_verbose_tells_of_itself():
    with bare_logging() as stderr:
        lm = RNNLanguageModel("rnn", 6, 6, max_iter=2, random_state=0)
        means = MeanEmbeddingClassifier(6, n_buckets=9, max_iter=2, random_state=0)
        ngram = NGramLanguageModel(2, smoothing="add_k")
        for verbose in (0, 1):
            lm.set_params(verbose=verbose).fit(LINES).partial_fit(LINES)
            means.set_params(verbose=verbose).fit(LINES, [0, 1] * 9)
            ngram.set_params(verbose=verbose).fit(LINES)
            compare_language_models({"2-gram": ngram.set_params(verbose=0)}, LINES, LINES, LINES, verbose=verbose)
            lines = [line for line in stderr.getvalue().splitlines() if "compiling" not in line]
            begins = [line.partition(",")[0].partition(": perplexity")[0] for line in lines]
            expected = ["rnn language model: epoch 1 of 2", "rnn language model: epoch 2 of 2",
                        "rnn language model: epoch 1 of 1", "MeanEmbeddingClassifier: epoch 1 of 2",
                        "MeanEmbeddingClassifier: epoch 2 of 2", "2-gram language model: 144 tokens",
                        "comparison: 2-gram"]  # fmt: skip
            assert begins == (expected if verbose else [])


@pytest.mark.parametrize("verbose", [None, "1", -1])
def test_verbose_is_a_number(verbose):
    with pytest.raises(ValueError, match=f"verbose must be an integer of at least 0, got {verbose!r}"):
        NGramLanguageModel(1, smoothing="add_k", verbose=verbose).fit(["a b"])
