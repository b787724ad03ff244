"""Importing is light, and compiled kernels are found again, but for those whose sources have changed."""

import ast
import json
import pathlib
import re

import numpy as np
import pytest

import fastrnn

PACKAGE = pathlib.Path(fastrnn.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"numba.cuda", "numba_cuda", "matplotlib", "torch", "pooch", "tokenizers", "onnx", "pydoc_data.topics"}

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys
import fastrnn
light = sorted(sys.modules)
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    names = [m.name for m in pkgutil.walk_packages(fastrnn.__path__, "fastrnn.") if m.name.split(".")[1] != "cuda"]
    for name in names:
        importlib.import_module(name)
print(json.dumps({"light": light, "names": names, "compiled": len(compiled.buffer), "all": sorted(sys.modules)}))
"""


def test_importing_compiles_nothing_and_loads_nothing_heavy(package_copy):
    seen = json.loads(package_copy.run(IMPORT_EVERYTHING))
    assert {"fastrnn.command.main", "fastrnn.language.comparison", "fastrnn.text", "fastrnn.datasets"} <= set(
        seen["names"]
    )
    assert seen["compiled"] == 0
    assert package_copy.kernel_files() == []
    assert not HEAVY & set(seen["all"])


def test_importing_the_package_alone_loads_no_compiler(package_copy):
    seen = json.loads(package_copy.run(IMPORT_EVERYTHING))
    assert not {"numba", "sklearn", "scipy", "numpy"} & set(seen["light"])


USE_SUBMODULES = """
import sys
import fastrnn
assert not {"layers", "text"} & set(vars(fastrnn))
assert fastrnn.language.InterpolatedLanguageModel and fastrnn.NGramLanguageModel  # without networks
assert not {"fastrnn.layers", "fastrnn.networks", "fastrnn.training"} & set(sys.modules)
print("gru" in fastrnn.layers.cells(), fastrnn.text.Vocabulary is fastrnn.Vocabulary, "inspection" in dir(fastrnn))
"""


def test_subpackages_need_no_import_of_their_own(package_copy):
    assert package_copy.run(USE_SUBMODULES) == "True True True"
    for name in fastrnn._MODULES:
        assert getattr(fastrnn, name).__name__ == f"fastrnn.{name}"
    named = set(re.findall(r"fastrnn\.([a-z]\w*)(?=\.\w)", (PACKAGE.parent / "README.md").read_text(encoding="utf-8")))
    assert {"layers", "inspection", "text"} <= named <= fastrnn._MODULES
    with pytest.raises(AttributeError, match="module 'fastrnn' has no attribute 'layer'"):
        fastrnn.layer  # noqa: B018


RUN_LAYER = """
import json
import numpy as np
from numba.core import event
from fastrnn.layers import RNN

layer = RNN(2, 3, n_jobs=1, random_state=0)
x = np.full((1, 1, 2), 0.5, np.float32)
with event.install_recorder("numba:compile") as compiled:
    y, _ = layer.forward(x)
weights = layer.state_dict()
z = x[0] @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + weights["bias_hh_l0"]
print(json.dumps({"compiled": len(compiled.buffer) // 2, "z": z.tolist(), "y": y[0].tolist()}))
"""


def test_a_second_process_finds_the_kernels_and_an_edited_cell_is_seen(package_copy):
    first, second = (json.loads(package_copy.run(RUN_LAYER)) for _ in range(2))
    assert first["compiled"] > 0
    assert second["compiled"] == 0
    assert second["y"] == first["y"]
    np.testing.assert_allclose(first["y"], np.tanh(first["z"]), atol=1e-6)

    cell = package_copy.folder / "fastrnn/cells/rnn.py"
    text = cell.read_text()
    assert "tanh(z[0])" in text
    cell.write_text(text.replace("tanh(z[0])", "tanh(z[0] + z[0])"))
    edited = json.loads(package_copy.run(RUN_LAYER))
    assert edited["compiled"] > 0
    np.testing.assert_allclose(edited["y"], np.tanh(2 * np.array(edited["z"])), atol=1e-6)


def _imported(tree):
    """Return the dotted names that a module imports, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_numba_is_used_in_its_place(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(PACKAGE).parts
    used = set(_imported(tree))
    used |= {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    if place[0] != "cuda":
        assert not {name for name in used if f"{name}.".startswith("numba.cuda.")}
    if place[0] != "_jit":  # one place for the flags and the cache
        compilers = {"njit", "jit", "vectorize", "guvectorize", "generated_jit", "stencil"}
        assert not used & {f"numba.{name}" for name in compilers}
