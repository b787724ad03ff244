"""The stamp of a kernel's sources: which edits change it."""

import ast
import pathlib

import pytest

import fastrnn
from fastrnn._jit.stamps import Sources

PACKAGE = pathlib.Path(fastrnn.__file__).parent


def write(folder, files):
    """Write a package of the given texts by path; return its folder."""
    for path, text in {"__init__.py": "", **files}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def reaches(folder, path, edited):
    """Return whether an edit of one file changes the stamp of another."""
    before, file = Sources(folder).stamp(folder / path), folder / edited
    assert Sources(folder).stamp(folder / path) == before
    file.write_text(f"{file.read_text() if file.exists() else ''}\n# edited\n")
    return Sources(folder).stamp(folder / path) != before


def test_the_stamp_covers_what_a_kernel_is_made_of_and_no_more(package_copy):
    folder = package_copy.folder / "fastrnn"
    covered = ["__init__.py", "_jit/__init__.py", "_jit/compiler.py", "simd/__init__.py", "simd/functions.py"]
    covered += ["cells/lstm.py", "cells/new.py", "kernels/recurrence.py", "kernels/gemm.py", "kernels/threads.py"]
    assert [path for path in covered if not reaches(folder, "kernels/recurrence.py", path)] == []
    others = ["command/main.py", "kernels/cross_entropy.py", "layers/recurrent.py", "deeper.py"]
    assert [path for path in others if reaches(folder, "kernels/recurrence.py", path)] == []


def test_kernels_without_cells_and_vectors_do_not_depend_on_them(package_copy):
    folder = package_copy.folder / "fastrnn"
    others = ["cells/lstm.py", "simd/functions.py", "text/corpus.py", "text/batching.py", "kernels/threads.py"]
    assert [path for path in others if reaches(folder, "text/word_table.py", path)] == []
    assert reaches(folder, "text/word_table.py", "_jit/compiler.py")


EXPORTS = {  # how the __init__.py of the folder `parts` comes to the name `helper`, which its file `a.py` defines
    "imported": "from fastrnn.parts.a import helper\nfrom fastrnn.parts.b import other\n",
    "renamed": "from fastrnn.parts.b import other\nfrom fastrnn.parts.a import (  # (a)\n first as helper,\n)",
    "passed on twice": "from fastrnn.parts.deeper import helper\nfrom fastrnn.parts.b import other\n",
    "lazy": 'TABLE = {"helper": "fastrnn.parts.a", "other": "fastrnn.parts.b"}\ndef __getattr__(name): ...\n',
    "lazy, in the folder": 'TABLE = {"helper": "a", "other": "b"}\ndef __getattr__(name): ...\n',
}


@pytest.mark.parametrize("how", EXPORTS)
def test_the_stamp_follows_a_name_through_the_package_that_exports_it(tmp_path, how):
    folder = write(
        tmp_path / "fastrnn",
        {
            "probe.py": "def run():\n    from fastrnn.parts import helper\n",
            "parts/__init__.py": EXPORTS[how],
            "parts/a.py": "import fastrnn.below\n",
            "parts/b.py": "",
            "parts/deeper/__init__.py": "from fastrnn.parts.a import helper\n",
            "below.py": "",
        },
    )
    assert [reaches(folder, "probe.py", path) for path in ("parts/__init__.py", "parts/a.py", "below.py")] == [True] * 3
    assert not reaches(folder, "probe.py", "parts/b.py")


def test_the_stamp_covers_all_imports_of_a_package_that_defines_the_name_itself(tmp_path):
    defines = "from fastrnn.parts.a import other\ndef helper(): return other()\n"
    files = {"probe.py": "from fastrnn.parts import helper", "parts/__init__.py": defines, "parts/a.py": ""}
    folder = write(tmp_path / "fastrnn", {**files, "parts/b.py": ""})
    assert [reaches(folder, "probe.py", f"parts/{name}.py") for name in ("__init__", "a", "b")] == [True, True, False]


@pytest.mark.parametrize("init", ["def __getattr__(name): ...\n", None])
def test_the_stamp_covers_a_folder_whose_names_may_come_from_anywhere(tmp_path, init):
    files = {"probe.py": "from fastrnn.parts import helper", "parts/a.py": "", "parts/deeper/b.py": ""}
    folder = write(tmp_path / "fastrnn", {**files, **({} if init is None else {"parts/__init__.py": init})})
    assert [reaches(folder, "probe.py", f"parts/{path}") for path in ("a.py", "deeper/b.py", "new.py")] == [True] * 3


def test_the_stamp_covers_a_module_that_is_imported_by_its_folder(tmp_path):
    folder = write(
        tmp_path / "fastrnn", {"probe.py": "from fastrnn.parts import a", "parts/a.py": "", "parts/b.py": ""}
    )
    assert [reaches(folder, "probe.py", f"parts/{name}.py") for name in ("a", "b")] == [True, False]


def test_imports_are_found_as_the_parser_finds_them():
    sources, wrong = Sources(PACKAGE), []
    for file in PACKAGE.rglob("*.py"):
        expected = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                expected |= {(name.asname or name.name, node.module, name.name) for name in node.names}
            elif isinstance(node, ast.Import):
                expected |= {(name.name, name.name, None) for name in node.names}
        of_package = {found for found in expected if found[1].split(".")[0] == "fastrnn"}
        if not of_package <= set(sources.imports(file)):
            wrong.append(file)
    assert wrong == []


KERNEL = """
from fastrnn._jit import kernel
from fastrnn.simd import sigmoid_slope

@kernel
def probe(y):
    return sigmoid_slope(y)
"""
RUN = """
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    from fastrnn.probe import probe
    print(probe(0.5), len(compiled.buffer) > 0)
"""


def test_an_edit_behind_a_re_export_is_seen(package_copy):
    (package_copy.folder / "fastrnn/probe.py").write_text(KERNEL)
    assert [package_copy.run(RUN) for _ in range(2)] == ["0.25 True", "0.25 False"]
    functions = package_copy.folder / "fastrnn/simd/functions.py"
    text = functions.read_text()
    edited = text.replace("builder.fmul(y, builder.fsub(splat(vector, 1.0), y))", "builder.fadd(y, y)")
    assert edited != text
    functions.write_text(edited)
    assert [package_copy.run(RUN) for _ in range(2)] == ["1.0 True", "1.0 False"]
