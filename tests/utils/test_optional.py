"""Packages that are not always installed."""

import sys

import pytest

from fastrnn.utils.optional import optional_module


def test_what_a_package_lacks_itself_is_not_put_down_to_it(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import not_there_either")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'not_there_either'$"):
        optional_module("half_installed", "Examples need")


def test_a_part_of_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "json.decoder", None)
    with pytest.raises(ImportError, match=r"^Examples need json: pip install json$"):
        optional_module("json.decoder", "Examples need")
    assert optional_module("json.encoder", "Examples need") is sys.modules["json.encoder"]
