"""The backend has the functions of the CPU's, with the same parameters."""

import inspect

import pytest

from fastrnn import cuda, kernels

pytestmark = pytest.mark.cpu


def test_the_backends_have_the_same_names():
    assert cuda.__all__ == kernels.__all__


@pytest.mark.parametrize("name", kernels.__all__)
def test_a_function_has_the_parameters_of_the_cpu(name):
    expected, found = (
        [(parameter.name, parameter.default) for parameter in inspect.signature(function).parameters.values()]
        for function in (_python(getattr(module, name)) for module in (kernels, cuda))
    )
    assert found[: len(expected)] == expected
    assert found[len(expected) :] in ([], [("precision", "highest")])


def _python(function):
    """Return a function as Python has it: of a compiled one, what it was compiled from."""
    return getattr(function, "py_func", function)
