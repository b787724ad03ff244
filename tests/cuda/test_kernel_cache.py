"""Compiled kernels on disk: no GPU is needed to compile, keep and load them."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from numba.core import config

import fastrnn
from fastrnn._jit.stamps import Sources
from fastrnn.cuda import arrays, kernel_cache
from fastrnn.cuda.compiler import type_of
from tests.cuda import arguments
from tests.cuda.compiling import A100, H100, array, on_paper, skip_if_unavailable

pytestmark = pytest.mark.cpu

TYPES = tuple(map(type_of, (array("float32", 1), np.float32(0))))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder where kernels are kept."""
    skip_if_unavailable()
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def kept(function=arrays._fill.function, types=TYPES, capability=H100, **options):
    with on_paper(capability):
        return kernel_cache.kept_kernel(function, types, options)


def names(folder):
    return {path.name for path in folder.rglob("*.nbc")}


def test_a_kernel_is_compiled_once(folder, monkeypatch):
    first = kept()
    assert len(names(folder)) == 1
    monkeypatch.setattr(kernel_cache, "compiled_kernel", lambda *arguments: pytest.fail("compiled again"))
    second = kept()
    assert second is not first
    assert second.entry_name == first.entry_name
    with on_paper(H100):
        assert second._codelibrary.get_asm_str() == first._codelibrary.get_asm_str()
        assert second._codelibrary.get_cubin().code == first._codelibrary.get_cubin().code


def test_kernels_are_told_apart(folder, monkeypatch):
    kept()
    for change in (
        {"types": tuple(map(type_of, (array("float64", 1), np.float64(0))))},
        {"function": arrays._find_non_finite.function, "types": tuple(map(type_of, (array("int32", 1),) * 2))},
        {"capability": A100},
        {"max_registers": 32},
        {"launch_bounds": 64},
    ):
        before = names(folder)
        kept(**change)
        assert len(names(folder) - before) == 1
        kept(**change)
        assert len(names(folder) - before) == 1
    before = names(folder)
    monkeypatch.setattr(kernel_cache, "_numba_cuda_version", lambda: "another")
    kept()
    assert len(names(folder) - before) == 1


def test_values_that_a_kernel_takes_from_outside_are_told_apart(folder):
    def make(value):
        def fill(out):
            out[0] = value

        fill.__module__ = "fastrnn.made"
        return fill

    for value in (1, 2, 1):
        kept(make(value), TYPES[:1])
    assert len(names(folder)) == 2


def test_kernels_of_users_are_not_kept(folder):
    def fill(out, value):
        out[0] = value

    kept(fill)
    assert not names(folder)


def test_nothing_is_kept_where_the_cache_is_off(folder, monkeypatch):
    monkeypatch.setattr(kernel_cache, "CACHE_ENABLED", False)
    kept()
    assert not names(folder)


def test_another_process_loads_a_kernel_without_compiling(folder):
    kept()
    code = (
        "from tests.cuda import test_kernel_cache as t; from fastrnn.cuda import kernel_cache\n"
        "kernel_cache.compiled_kernel = None\n"
        "print(t.kept()._codelibrary._entry_name)"
    )
    root, variables = pathlib.Path(__file__).parents[2], {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, cwd=root)
    assert run.stdout.strip() == kept().entry_name, run.stderr


@pytest.mark.parametrize("module", arguments.modules_with_kernels())
def test_edits_of_what_kernels_are_made_of_make_them_stale(module):
    package = pathlib.Path(fastrnn.__file__).parent
    reached = Sources(package)._reached([package / f"cuda/{module}.py"])
    assert {package / f"cuda/{name}.py" for name in ("compiler", "functions", "kernel_cache")} <= reached
