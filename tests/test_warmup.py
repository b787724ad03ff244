"""Kernels that are compiled ahead: none is missing later, and none is compiled twice."""

import json

import pytest

from fastrnn import warmup
from fastrnn.command import main as cli

WARM_UP = """
import json
from fastrnn.warmup import warm_up
done = warm_up(["rnn"])
print(json.dumps([done.compiled, done.found, str(done.folder), done.size]))
"""
USE_MODELS = """
import json
from numba.core import event
from fastrnn import NGramLanguageModel, RNNLanguageModel

lines = ["the cat sat on the mat", "the dog sat on the log"] * 100
models = [NGramLanguageModel(order) for order in (1, 2, 5)]
models += [RNNLanguageModel("rnn", optimizer=optimizer, max_iter=1, n_jobs=n_jobs)
           for optimizer in ("adam", "sgd") for n_jobs in (1, 2)]
with event.install_recorder("numba:compile") as compiled:
    for model in models:
        model.fit(lines).partial_fit(lines)
        model.perplexity(["the cat", "a dog"])
        model.predict_proba(["the", "a dog", "the cat"] * 3)
        model.predict(["the"])
        model.sample(random_state=0)
        model.sample(5, random_state=0)
print(json.dumps([ev.data["dispatcher"].__name__ for _, ev in compiled.buffer if ev.is_start]))
"""


def test_language_models_find_all_their_kernels(package_copy):
    compiled, found, folder, size = json.loads(package_copy.run(WARM_UP))
    assert compiled == len(package_copy.kernel_files()) > 10
    assert found == 0
    assert folder == str(package_copy.folder / "fastrnn")
    assert size == sum(path.stat().st_size for path in package_copy.folder.rglob("*.nbc"))
    assert json.loads(package_copy.run(USE_MODELS)) == []
    compiled, found, *_ = json.loads(package_copy.run(WARM_UP))
    assert compiled == 0
    assert found > 10


CLEAR = "from fastrnn.command.main import main; print(main(['warmup', '--clear']))"


def test_kernels_are_deleted_from_disk_and_nothing_else(package_copy, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("kernels")
    beside = package_copy.folder / "fastrnn/kernels/__pycache__"
    own = elsewhere / "fastrnn/kernels-0123"
    for folder in (beside, own):
        folder.mkdir(parents=True)
        for name in ("a.nbc", "a.nbc.12ab.tmp", "a.pyc"):
            (folder / name).write_bytes(b"12345")
    assert package_copy.run(CLEAR, NUMBA_CACHE_DIR=str(elsewhere)) == "2 kernels deleted, 0.0 MB\n0"
    assert [path.name for path in own.iterdir()] == ["a.pyc"]
    assert len(list(beside.iterdir())) == 3
    assert package_copy.run(CLEAR, HOME=str(elsewhere)) == "2 kernels deleted, 0.0 MB\n0"
    assert [path.name for path in beside.iterdir()] == ["a.pyc"]


def test_nothing_can_be_kept_without_the_cache(package_copy):
    code = "from fastrnn.command.main import main; print(main(['warmup', '--cells', '']))"
    assert package_copy.run(code, FASTRNN_CACHE="0") == "2"
    assert package_copy.run(code, NUMBA_DISABLE_JIT="1") == "2"


def test_what_was_done_is_one_line(capsys):
    assert cli.main(["warmup", "--cells", "", "--dtype", "float64"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert " kernels compiled in " in out
    assert err == ""
    assert cli.main(["warmup", "--cells", "", "--dtype", "float64"]) == 0
    assert capsys.readouterr().out.startswith("0 kernels compiled in ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cells", "lstm,elman"], "argument --cells: expected cells among rnn, "),
        (["--cells", "lstm,GRU"], "got 'GRU': did you mean 'gru'?"),
        (["--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
    ],
)
def test_wrong_values(capsys, arguments, says):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["warmup", *arguments])
    err = capsys.readouterr().err
    assert err.startswith("fastrnn warmup: error: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_full_disk_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(warmup._jit, "not_kept", [])
    monkeypatch.setattr(warmup, "_use_ngrams", lambda: warmup._jit.not_kept.append("/x: No space left on device"))
    assert cli.main(["warmup", "--cells", ""]) == 2
    err = capsys.readouterr().err
    assert err == "fastrnn warmup: error: Compiled kernels could not be written: /x: No space left on device.\n"
