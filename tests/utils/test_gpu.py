"""What is found about GPUs without a package for them."""

import importlib.metadata

import pytest

from fastrnn.utils.gpu import describe_gpus


@pytest.fixture
def folder(tmp_path):
    for place, name in (("0000:01:00.0", "NVIDIA H100"), ("0000:02:00.0", "NVIDIA A100")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 28\n")
    return tmp_path


def test_gpus_and_the_packages_for_them_are_named(folder, monkeypatch):
    versions = {"numba-cuda": "0.30.4", "nvmath-python": "1.0"}

    def version(package):
        if package not in versions:
            raise importlib.metadata.PackageNotFoundError
        return versions[package]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert describe_gpus(folder) == "NVIDIA H100, NVIDIA A100; numba-cuda 0.30.4, nvmath-python 1.0"
    del versions["nvmath-python"]
    assert describe_gpus(folder) == "NVIDIA H100, NVIDIA A100; without nvmath-python: pip install 'fastrnn[cuda]'"


def test_a_machine_without_a_gpu(tmp_path):
    assert describe_gpus(tmp_path) == ""
