"""The sizes that ARCHITECTURE.md states, the links between pages, and who may know of devices."""

import ast
import pathlib
import re

import pytest

import fastrnn

PACKAGE = pathlib.Path(fastrnn.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
MOST_LINES = {"file": 500, "class": 300, "function": 60}
EXCEPTION = re.compile(r"^\| (file|class|function) \| `([\w/.]+)`(?: `(\w+)`)? \| (.+) \|$", re.MULTILINE)


def sizes(path):
    """Yield kind, place and lines of a file, of its classes, and of its functions but documented constructors."""
    text, place = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
    yield "file", (place, ""), len(text.splitlines())
    tree = ast.parse(text)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    documented = {
        id(part)
        for node in classes if "Parameters" in (ast.get_docstring(node) or "")
        for part in node.body if getattr(part, "name", "") == "__init__"
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield "class", (place, node.name), node.end_lineno - node.lineno + 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in documented:
            yield "function", (place, node.name), node.end_lineno - node.lineno + 1


def test_sizes_are_within_limits_or_have_a_reason():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for kind, most in MOST_LINES.items():
        assert re.search(rf"\b{kind}\b[^.]* {most}\b", page)  # the limit stands there
    listed = {(kind, (place, name)): reason for kind, place, name, reason in EXCEPTION.findall(page)}
    large = {(kind, place) for path in SOURCES for kind, place, lines in sizes(path) if lines > MOST_LINES[kind]}
    assert large == set(listed)
    assert all(len(reason.split()) > 4 for reason in listed.values())


def test_a_large_function_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    for docstring, lines in (("", [61]), ("Parameters", [])):
        source = f'class A:\n    """{docstring}"""\n    def __init__(self):\n' + "        pass\n" * 60
        (tmp_path / "a.py").write_text(source)
        assert [count for _, _, count in sizes(tmp_path / "a.py")] == [63, 63, *lines]


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_files_that_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / page).parent / link).exists(), link
    if page == "ARCHITECTURE.md":
        rooms = re.findall(r"^\| (`[^|]+`) \|", text.split("## From a text")[0], re.MULTILINE)
        named = {name for room in rooms for name in re.findall(r"`([\w./]+)`", room)}
        existing = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir() if not path.name.startswith("__")}
        assert existing <= named
        assert named - existing <= {"cuda/"}
        for name in re.findall(r"`((?:tests/)?[\w/]+\.py)`", text):
            assert (ROOT / name).exists() or (PACKAGE / name).exists() or list(PACKAGE.rglob(name)), name


def test_the_version_to_cite_is_that_of_the_package():
    assert f"\nversion: {fastrnn.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_only_the_kernels_of_a_gpu_import_what_it_needs():
    """import-linter knows packages, and Numba is imported everywhere."""
    name = re.compile(r"^\s*(?:from|import) (?:numba\.cuda|numba import .*\bcuda\b|nvmath|cuda\b)", re.MULTILINE)
    importing = {
        path.relative_to(PACKAGE).parts[0] for path in SOURCES if name.search(path.read_text(encoding="utf-8"))
    }
    assert importing == {"cuda"}


def test_only_backends_names_the_kernels_of_a_gpu():
    name = re.compile(r"fastrnn[./]cuda|from fastrnn import .*\bcuda\b")
    naming = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if name.search(path.read_text(encoding="utf-8"))}
    assert {path for path in naming if not path.startswith("cuda/")} <= {"backends.py"}
