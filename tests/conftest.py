"""What tests share: the folder of real data, and a copy of the package to run and edit in a process of its own."""

import io
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from hypothesis import settings

import fastrnn
from fastrnn.command import main as cli

if os.environ.get("FASTRNN_EMULATOR", "0") == "1":  # the emulator is the GPU of all tests
    from fastrnn.cuda.gpu import use
    from tests.cuda.emulator import EmulatedDevice

    use(EmulatedDevice())

settings.register_profile("fastrnn", deadline=None)  # the first example compiles
settings.load_profile("fastrnn")

if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1":
    from tests.cuda import simulator

    simulator.hasten()


# Files with few and long tests, most of which compile in processes of their own.
_LONG_FILES = {"test_warmup.py", "test_machines.py", "test_import.py", "test_examples.py", "test_readme.py",
               "test_recurrent.py", "test_check_estimator.py",
               "test_dynamic_evaluation.py", "test_compiling.py", "test_compiling_cells.py"}  # fmt: skip


def pytest_collection_modifyitems(items):
    """Begin with the long files, so that no process of several has one of them alone in the end."""
    items.sort(key=lambda item: item.path.name not in _LONG_FILES)


@pytest.fixture
def command(capsys, monkeypatch):
    """Return a function that runs the ``fastrnn`` command in this process.

    It returns the exit status and what was written to stdout and stderr; ``stdin`` are the bytes of standard input.
    """

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        try:
            status = cli.main(list(map(str, arguments)))
        except SystemExit as end:  # argparse
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def _folder(variable):
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set")
    return pathlib.Path(os.environ[variable])


@pytest.fixture(scope="session")
def data_dir():
    """Return the folder with the real corpora; skip the test where there is none."""
    return _folder("FASTRNN_DATA")


@pytest.fixture(scope="session")
def reference_dir():
    """Return the folder with the results of other programs on these corpora; skip the test where there is none."""
    return _folder("FASTRNN_REFERENCE")


class PackageCopy:
    """A copy of the package's sources in `folder`, with no compiled kernels beside them."""

    def __init__(self, folder):
        self.folder = folder
        package = pathlib.Path(fastrnn.__file__).parent
        shutil.copytree(package, folder / "fastrnn", ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, code, **environment):
        """Run `code` in a new process that imports this copy; return what it printed."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "FASTRNN_"))}
        process = subprocess.run(
            [sys.executable, "-B", "-c", code],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(self.folder), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    def kernel_files(self):
        """Return the names of the compiled kernels on disk."""
        return sorted(path.name for path in self.folder.rglob("*.nbc"))


@pytest.fixture
def package_copy(tmp_path):
    """Return a `PackageCopy` in a temporary folder."""
    return PackageCopy(tmp_path)


LANGUAGE_MODELS = ("ngrams", "network", "projected", "adaptive", "cache", "neural cache", "dynamic", "mixture")


@pytest.fixture(scope="session")
def language_models():
    """Return a fitted language model of each kind, with one vocabulary; networks and caches go on between sentences."""
    lines = ["the cat sat on the mat", "the car is here", "a cat is on the car", "the can is red ."] * 5
    ngrams = fastrnn.NGramLanguageModel(3, smoothing="witten_bell").fit(lines)
    shared = {"vocabulary": ngrams.vocabulary_}
    options = {**shared, "max_iter": 4, "learning_rate_init": 0.02, "early_stopping": False, "random_state": 0}
    network = fastrnn.RNNLanguageModel("rnn", 8, 16, **options).fit(lines)
    projected = fastrnn.RNNLanguageModel("rnn", 8, 16, tie_weights=True, **options).fit(lines)
    adaptive = fastrnn.RNNLanguageModel("rnn", 8, 16, softmax="adaptive", softmax_cutoffs=[6], **options).fit(lines)
    cache = fastrnn.CacheLanguageModel(5, **shared).fit()
    neural = fastrnn.NeuralCacheLanguageModel(network, 50, 1.0, 0.4)
    dynamic = fastrnn.DynamicEvaluation(network, 0.3, segment=2)
    parts = [ngrams, network, cache, neural]
    mixture = fastrnn.InterpolatedLanguageModel(parts, [0.4, 0.3, 0.2, 0.1]).fit()
    models = ngrams, network, projected, adaptive, cache, neural, dynamic, mixture
    return dict(zip(LANGUAGE_MODELS, models, strict=True))


@pytest.fixture(params=LANGUAGE_MODELS)
def any_language_model(request, language_models):
    """Return one of `language_models` after the other."""
    return language_models[request.param]
