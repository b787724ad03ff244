"""The cache of compiled kernels: what it finds again, and what it must not."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from fastrnn._jit import kernel, simd_bits
from fastrnn._jit.constants import class_digest
from fastrnn._jit.folders import check_trusted

PROBE = """
from fastrnn._jit import kernel
from fastrnn.helper import double

@kernel
def probe(x):
    return double(x) + 1
"""
HELPER = """
from fastrnn._jit import kernel

@kernel
def double(x):
    return 2 * x
"""
COMPILED = """
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    from fastrnn.probe import probe
    print(probe(3), len(compiled.buffer) // 2)
"""


@pytest.fixture
def probe(package_copy):
    """Return a copy of the package with a kernel `probe` that calls a kernel of another file."""
    (package_copy.folder / "fastrnn/probe.py").write_text(PROBE)
    (package_copy.folder / "fastrnn/helper.py").write_text(HELPER)
    return package_copy


def test_a_second_process_compiles_nothing(probe):
    assert probe.run(COMPILED) == "7 2"
    assert len(probe.kernel_files()) == 2
    assert probe.run(COMPILED) == "7 0"


def test_an_edit_in_another_file_is_seen_and_drops_the_old_kernels(probe):
    assert probe.run(COMPILED) == "7 2"
    before = probe.kernel_files()
    (probe.folder / "fastrnn/helper.py").write_text("\n" + HELPER.replace("2 * x", "5 * x"))  # a line further down, too
    assert probe.run(COMPILED) == "16 2"
    after = probe.kernel_files()
    assert len(after) == 2
    assert not set(before) & set(after)


def test_unreadable_kernel_is_compiled_again(probe):
    probe.run(COMPILED)
    files = list(probe.folder.rglob("*.nbc"))
    for file, damaged in zip(files, (b"", files[1].read_bytes()[:100]), strict=True):
        file.write_bytes(damaged)
    assert probe.run(COMPILED) == "7 2"
    assert probe.run(COMPILED) == "7 0"


def test_constants_among_the_arguments_are_compiled_for_once():
    @kernel(cache=False)
    def scale(x, factor):
        return x * factor

    @kernel(cache=False)
    def polynomial(x):
        return scale(x, 0) + scale(x, 1) + scale(x, 2)

    assert polynomial(5) == 15
    assert len(scale.signatures) == 1


def test_the_cache_can_be_switched_off(probe):
    assert probe.run(COMPILED, FASTRNN_CACHE="0") == "7 2"
    assert probe.kernel_files() == []
    probe.run(COMPILED)
    assert probe.run(COMPILED, FASTRNN_CACHE="0") == "7 2"


def test_the_place_of_the_cache_can_be_chosen(probe, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("kernels")
    assert probe.run(COMPILED, NUMBA_CACHE_DIR=str(elsewhere)) == "7 2"
    assert len(list(elsewhere.rglob("*.nbc"))) == 2
    assert probe.kernel_files() == []


def test_kernels_of_other_vector_widths_are_kept_apart(probe):
    assert probe.run(COMPILED, FASTRNN_SIMD_BITS="128") == "7 2"
    assert probe.run(COMPILED, FASTRNN_SIMD_BITS="256") == "7 2"
    assert probe.run(COMPILED, FASTRNN_SIMD_BITS="128") == "7 0"


FULL_DISK = """
import pathlib

def full(self, *arguments, **options):
    raise OSError(28, "No space left on device")

pathlib.Path.{} = full
"""
COUNT_WARNINGS = """
import warnings
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    from fastrnn.probe import probe
    print("at import", len(caught))
    probe(3), probe(3.0)
    print("in use", *[f"{w.category.__name__}: {w.message}" for w in caught], sep="|")
"""


@pytest.mark.parametrize("operation", ["write_bytes", "mkdir", "replace"])
def test_a_full_disk_costs_no_result(probe, operation):
    assert probe.run(FULL_DISK.format(operation) + COMPILED) == "7 2"
    assert list(probe.folder.rglob("*.nbc*")) == []
    (warning,) = probe.run(FULL_DISK.format(operation) + COUNT_WARNINGS).split("in use|")[1].split("|")
    assert "No space left on device" in warning


def test_kernels_that_are_stale_and_cannot_be_deleted_cost_no_result(probe):
    probe.run(COMPILED)
    (probe.folder / "fastrnn/helper.py").write_text(HELPER.replace("2 * x", "5 * x"))
    assert probe.run(FULL_DISK.format("unlink") + COMPILED) == "16 2"
    assert len(probe.kernel_files()) == 4


def no_folders(copy):
    """Put a file where each folder of kernels beside a source would be: root cannot write there either."""
    for folder in ("fastrnn", "fastrnn/kernels"):
        (copy.folder / folder / "__pycache__").write_bytes(b"")


def test_without_a_place_for_kernels_there_is_one_warning_with_the_remedy(probe):
    no_folders(probe)
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": ""}
    at_import, in_use = probe.run(COUNT_WARNINGS, **nowhere).split("\n")
    assert at_import == "at import 0"
    (warning,) = in_use.split("|")[1:]
    assert warning.startswith("RuntimeWarning: Compiled kernels cannot be kept on disk")
    assert f"{probe.folder}/fastrnn/__pycache__: " in warning
    assert "/dev/null/.cache/fastrnn/kernels/fastrnn-" in warning
    assert "Set NUMBA_CACHE_DIR to a folder of your own, or FASTRNN_CACHE=0" in warning
    assert probe.run(COUNT_WARNINGS, **nowhere, FASTRNN_CACHE="0").endswith("in use")
    assert probe.run(COMPILED, **nowhere) == "7 2"


def test_kernels_are_kept_in_the_home_of_the_user_where_the_package_cannot_be_written(probe, tmp_path_factory):
    no_folders(probe)
    home = tmp_path_factory.mktemp("home")
    caches = {"HOME": str(home), "XDG_CACHE_HOME": ""}
    assert probe.run(COUNT_WARNINGS, **caches).endswith("in use")
    assert len(list(home.glob(".cache/fastrnn/kernels/*/*.nbc"))) == 4
    assert probe.run(COMPILED, **caches) == "7 0"
    other = tmp_path_factory.mktemp("caches")
    assert probe.run(COMPILED, HOME=str(home), XDG_CACHE_HOME=str(other)) == "7 2"
    assert len(list(other.glob("fastrnn/kernels/*/*.nbc"))) == 2


def test_a_folder_that_others_can_write_into_is_not_trusted(probe, tmp_path_factory):
    chosen = tmp_path_factory.mktemp("chosen")
    assert probe.run(COMPILED, NUMBA_CACHE_DIR=str(chosen)) == "7 2"
    (folder,) = chosen.glob("fastrnn/*")
    assert folder.stat().st_mode & 0o022 == 0
    for mode in (0o777, 0o775):
        folder.chmod(mode)
        assert probe.run(COMPILED, NUMBA_CACHE_DIR=str(chosen)) == "7 2"
        assert "other users can write into it" in probe.run(COUNT_WARNINGS, NUMBA_CACHE_DIR=str(chosen))
    folder.chmod(0o755)
    assert probe.run(COMPILED, NUMBA_CACHE_DIR=str(chosen)) == "7 0"


def test_the_folder_beside_the_source_is_trusted_as_the_source_is(probe, tmp_path_factory):
    home = {"HOME": str(tmp_path_factory.mktemp("home")), "XDG_CACHE_HOME": ""}
    assert probe.run(COMPILED, **home) == "7 2"
    beside = probe.folder / "fastrnn/__pycache__"
    beside.chmod(0o777)
    assert probe.run(COMPILED, **home) == "7 2"  # and goes to the home
    assert probe.run(COMPILED, **home) == "7 0"
    beside.parent.chmod(0o777)  # who can change the source needs no kernels
    assert [_distrust(folder) for folder in (beside, beside.parent)] == [None, "other users can write into it"]


def _distrust(folder):
    try:
        check_trusted(folder)
    except OSError as error:
        return error.strerror


# Python may stand in a folder that only root can read: what the compiler imports is there before the user changes.
AS_NOBODY = """
import os, warnings, fastrnn._jit
from numba.core import event
fastrnn._jit.kernel(cache=False)(lambda x: x + 1)(3)
os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""


@pytest.fixture
def open_probe(probe):
    """Return the package with a kernel `probe` in a folder that every user can read; only root can be another user."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root can run as another user")
    with tempfile.TemporaryDirectory() as folder:
        probe.folder = pathlib.Path(shutil.copytree(probe.folder, f"{folder}/package"))
        for path in (probe.folder.parent, probe.folder):
            path.chmod(0o755)
        yield probe


def test_another_user_needs_no_place_for_kernels_and_finds_those_of_root(open_probe):
    warned = open_probe.run(AS_NOBODY + COUNT_WARNINGS, HOME="/nonexistent", XDG_CACHE_HOME="")
    (warning,) = warned.split("in use|")[1].split("|")
    assert "fastrnn/__pycache__: Permission denied" in warning
    assert "/nonexistent/.cache/fastrnn/kernels/" in warning
    assert open_probe.kernel_files() == []
    assert open_probe.run(COMPILED) == "7 2"
    assert open_probe.run(AS_NOBODY + COMPILED, HOME="/nonexistent", XDG_CACHE_HOME="") == "7 0"


def test_root_runs_no_kernels_of_another_user(open_probe):
    chosen = open_probe.folder / "chosen"
    chosen.mkdir()
    chosen.chmod(0o777)
    assert open_probe.run(AS_NOBODY + COMPILED, NUMBA_CACHE_DIR=str(chosen)) == "7 2"
    assert open_probe.run(AS_NOBODY + COMPILED, NUMBA_CACHE_DIR=str(chosen)) == "7 0"
    assert open_probe.run(COMPILED, NUMBA_CACHE_DIR=str(chosen)) == "7 2"
    assert "belongs to another user" in open_probe.run(COUNT_WARNINGS, NUMBA_CACHE_DIR=str(chosen))


def test_kernels_are_plain_functions_without_the_compiler(probe):
    code = "from fastrnn.probe import probe; print(type(probe).__name__, probe(3))"
    assert probe.run(code, NUMBA_DISABLE_JIT="1") == "function 7"


SHARED = """
import numpy as np
from numba.core import event
from fastrnn.kernels.dense import product
with event.install_recorder("numba:compile") as compiled:
    c = np.zeros((3, 5), "float32")
    product(c, np.ones((3, 4), "float32"), np.ones((4, 5), "float32"), 1)
    names = [e.data["dispatcher"].__name__ for _, e in compiled.buffer]
    print(c.min(), c.max(), len(names) > 0, "_tile_address" in names)
"""


def test_a_shared_function_is_compiled_once_and_found_by_kernels_that_are_loaded(package_copy):
    assert package_copy.run(SHARED) == "4.0 4.0 True True"
    assert package_copy.run(SHARED) == "4.0 4.0 False False"
    for file in package_copy.folder.rglob("gemm._tile_address*.nbc"):
        file.unlink()
    assert package_copy.run(SHARED) == "4.0 4.0 True True"


CELL = """
from typing import NamedTuple
from numba.extending import overload
from numba.core import types
from dispatch import step

class Cell(NamedTuple):
    bias: float

@overload(step)
def _step(cell, x):
    if isinstance(cell, types.BaseNamedTuple) and cell.instance_class is Cell:
        return lambda cell, x: x * FACTOR + cell.bias
"""
DISPATCH = """
from fastrnn._jit import kernel

def step(cell, x):
    raise NotImplementedError

@kernel
def drive(cell, x):
    return step(cell, x)
"""
DRIVE = """
import {0}, dispatch
print(dispatch.drive({0}.Cell(1.0), 10.0), sum(dispatch.drive.stats.cache_hits.values()))
"""


def test_cells_of_the_same_name_do_not_share_a_kernel(package_copy):
    (package_copy.folder / "dispatch.py").write_text(DISPATCH)
    for module, factor in (("first", "2"), ("second", "3")):
        (package_copy.folder / f"{module}.py").write_text(CELL.replace("FACTOR", factor))
    drive = {module: DRIVE.format(module) for module in ("first", "second")}
    assert package_copy.run(drive["first"]) == "21.0 0"
    assert package_copy.run(drive["second"]) == "31.0 0"
    assert package_copy.run(drive["first"]) == "21.0 1"
    assert package_copy.run(drive["second"]) == "31.0 1"


def test_an_edit_of_a_cell_outside_the_package_is_seen(package_copy):
    (package_copy.folder / "dispatch.py").write_text(DISPATCH)
    for factor, expected in (("2", "21.0 0"), ("2", "21.0 1"), ("3", "31.0 0")):
        (package_copy.folder / "mine.py").write_text(CELL.replace("FACTOR", factor))
        assert package_copy.run(DRIVE.format("mine")) == expected


NESTED = """
from typing import NamedTuple

class Inner(NamedTuple):
    {}: float
    {}: float

class Outer(NamedTuple):
    inner: Inner
    scale: float
"""
READ_NESTED = """
from fastrnn._jit import kernel

@kernel
def drive(outer):
    return outer.inner.first * outer.scale
"""


def test_fields_that_change_places_in_a_nested_tuple_are_seen(package_copy):
    (package_copy.folder / "dispatch.py").write_text(READ_NESTED)
    drive = "import nested, dispatch; print(dispatch.drive(nested.Outer(nested.Inner(3.0, 5.0), 2.0)))"
    for names, expected in ((("first", "second"), "6.0"), (("second", "first"), "10.0")):
        (package_copy.folder / "nested.py").write_text(NESTED.format(*names))
        assert package_copy.run(drive) == expected


OWN_CELL = """
from typing import NamedTuple
import numba
import settings

{helper}
class Cell(NamedTuple):
    @staticmethod
    def forward(z, state):
        return {value}
"""
DRIVE_OWN = """
import dispatch_own, mine
from fastrnn.cells._cell import forward
print(dispatch_own.drive(mine.Cell(), 10.0), sum(dispatch_own.drive.stats.cache_hits.values()))
"""
DISPATCH_OWN = """
from fastrnn._jit import kernel
from fastrnn.cells._cell import forward

@kernel
def drive(cell, x):
    return forward(cell, x, x, x)
"""


@pytest.mark.parametrize(
    ("value", "helper"),
    [
        ("settings.FACTOR * z", ""),
        ("FACTOR * z", "from settings import FACTOR"),
        ("scaled(z)", "from settings import scaled"),
        ("scaled(z)", "scaled = numba.njit(settings.plain)"),
    ],
)
def test_what_a_cell_takes_from_another_file_or_the_environment_is_seen(package_copy, value, helper):
    write = {name: (package_copy.folder / f"{name}.py").write_text for name in ("dispatch_own", "mine", "settings")}
    write["dispatch_own"](DISPATCH_OWN)
    write["mine"](OWN_CELL.format(value=value, helper=helper))
    settings = "import os, numba\nFACTOR = {}\ndef plain(z): return FACTOR * z\nscaled = numba.njit(plain)"
    for factor, expected in (("2.0", "20.0 0"), ("2.0", "20.0 1"), ("3.0", "30.0 0")):
        write["settings"](settings.format(factor))
        assert package_copy.run(DRIVE_OWN) == expected
    write["settings"](settings.format('float(os.environ["FACTOR"])'))
    for factor, expected in (("2.0", "20.0 1"), ("5.0", "50.0 0"), ("2.0", "20.0 1")):
        assert package_copy.run(DRIVE_OWN, FACTOR=factor) == expected


def test_the_digest_of_a_class_covers_its_attributes_and_is_the_same_in_every_process():
    def cell(**attributes):
        return type("Cell", (tuple,), {"forward": staticmethod(abs), "slots": ("z", "n"), **attributes})

    assert class_digest(cell()) == class_digest(cell())
    others = [cell(slots=("z",)), cell(parameters={"u": 1}), cell(parameters={"u": 2}), cell(late=[1.0])]
    others += [cell(forward=staticmethod(step)) for step in (lambda z: z, lambda z: z + 1, lambda z: (z, "a"))]
    assert len({class_digest(cls) for cls in [cell(), *others]}) == len(others) + 1
    code = "from fastrnn._jit.constants import class_digest; import fastrnn.cells as cells; "
    code += "print(*(class_digest(type(cell)) for cell in cells.CELLS.values()))"
    digests = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=-1, check=True)
        for seed in "12"
    ]
    assert digests[0].stdout == digests[1].stdout


@pytest.mark.parametrize("bits", ["64", "wide", ""])
def test_a_wrong_vector_width_is_refused(monkeypatch, bits):
    monkeypatch.setenv("FASTRNN_SIMD_BITS", bits)
    with pytest.raises(ValueError, match="FASTRNN_SIMD_BITS must be 128, 256 or 512"):
        simd_bits.__wrapped__()
