"""The first program on a new GPU has no errors of its own."""

import pytest

from tests.cuda import smoke


@pytest.mark.parametrize("name", ["versions", "the device", "copies", "a kernel", "a kernel with shared memory",
                                  "products", "a graph", "LSTM, small", "a decoder", "a CRF", "a fit"])  # fmt: skip
def test_a_step_works(name, capsys):
    assert smoke.main([name]) == 0
    assert f"ok     {name}" in capsys.readouterr().out


def test_an_error_is_told_and_the_other_steps_go_on(monkeypatch, capsys):
    monkeypatch.setitem(smoke.STEPS, "copies", lambda: 1 / 0)
    assert smoke.main(["copies", "a kernel"]) == 1
    out = capsys.readouterr().out
    assert "ZeroDivisionError" in out
    assert "FAILED copies" in out
    assert "ok     a kernel" in out
