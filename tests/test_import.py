"""Importing is light: it compiles nothing, and what few people need is not loaded."""

import ast
import json
import pathlib

import pytest

import fastrnn

PACKAGE = pathlib.Path(fastrnn.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"numba.cuda", "numba_cuda", "matplotlib", "torch", "pooch", "pydoc_data.topics"}

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
    assert {"fastrnn.cli", "fastrnn.comparison", "fastrnn.text", "fastrnn.datasets"} <= set(seen["names"])
    assert seen["compiled"] == 0
    assert package_copy.kernel_files() == []
    assert not HEAVY & set(seen["all"])


def test_importing_the_package_alone_loads_no_compiler(package_copy):
    seen = json.loads(package_copy.run(IMPORT_EVERYTHING))
    assert not {"numba", "sklearn", "scipy", "numpy"} & set(seen["light"])


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
    if place != ("_jit.py",):  # one place for the flags and the cache
        compilers = {"njit", "jit", "vectorize", "guvectorize", "generated_jit", "stencil"}
        assert not used & {f"numba.{name}" for name in compilers}
