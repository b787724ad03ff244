import sys
import types
from contextlib import contextmanager
from fractions import Fraction
from typing import NamedTuple

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import event

import fastrnn
from fastrnn import scan


def rows(tree, t):
    return tuple(rows(part, t) for part in tree) if isinstance(tree, tuple) else np.asarray(tree)[t]


def stacked(accumulators, like):
    if isinstance(like, tuple):
        return tuple(stacked([a[k] for a in accumulators], part) for k, part in enumerate(like))
    like = np.asarray(like)
    return np.array(accumulators, like.dtype).reshape(len(accumulators), *like.shape)


def length(tree):
    return length(tree[0]) if isinstance(tree, tuple) else len(tree)


def slow_scan(fn, elems, initializer=None, reverse=False):
    """Return what scan has to return, by its definition."""
    times = list(range(length(elems)))
    if reverse:
        times.reverse()
    results = {}
    accumulator = initializer
    for t in times:
        accumulator = rows(elems, t) if accumulator is None else fn(accumulator, rows(elems, t))
        results[t] = accumulator
    first = rows(elems, times[0]) if initializer is None else initializer
    return stacked([results[t] for t in sorted(results)], first)


def assert_same(got, expected):
    if isinstance(expected, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            assert_same(a, b)
    else:
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def leaky_sum(total, x):
    return 0.5 * total + x


def vanilla_step(h, x):
    return np.tanh(h @ np.array([[0.5, -1.0], [0.25, 1.0]]) + x)


def fibonacci(pair, x):
    return pair[1], pair[0] + pair[1]


def nested(accumulator, element):
    (h, c), count = accumulator
    x, (scale,) = element
    c = 0.5 * c + scale * x
    return (np.tanh(c) + h, c), count + 1


def uncompiled(total, x):
    return total + float(Fraction(float(x)))  # a class that Numba does not know


JITTED = numba.njit(leaky_sum)

CASES = {  # function, elements from T steps of numbers, initializer (None: also without)
    "scalars": (leaky_sum, lambda x: x, 3.0),
    "jitted": (JITTED, lambda x: x, 3.0),
    "python": (uncompiled, lambda x: x, 3.0),
    "arrays": (vanilla_step, lambda x: np.stack([x, -x], axis=1), np.array([0.5, 1.0])),
    "tuple state": (fibonacci, lambda x: x, (0, 1)),
    "tuples": (nested, lambda x: (np.stack([x, x * x], 1), (x + 1,)), ((np.ones(2), np.zeros(2)), 5)),
    "float32": (leaky_sum, lambda x: x.astype("float32"), np.float32(1)),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15, deadline=None)
@given(x=st.lists(st.floats(-2, 2, width=16), max_size=6), reverse=st.booleans())
def test_equals_the_loop(case, x, reverse):
    fn, make_elems, initializer = CASES[case]
    elems = make_elems(np.array(x, float))
    plain = fn.py_func if fn is JITTED else fn
    assert_same(scan(fn, elems, initializer, reverse), slow_scan(plain, elems, initializer, reverse))


@pytest.mark.parametrize("case", ["scalars", "jitted", "python", "arrays", "float32"])
@settings(max_examples=15, deadline=None)
@given(x=st.lists(st.floats(-2, 2, width=16), min_size=1, max_size=6), reverse=st.booleans())
def test_the_first_element_begins_where_there_is_no_initializer(case, x, reverse):
    fn, make_elems, _ = CASES[case]
    elems = make_elems(np.array(x, float))
    plain = fn.py_func if fn is JITTED else fn
    assert_same(scan(fn, elems, reverse=reverse), slow_scan(plain, elems, reverse=reverse))


def test_without_an_initializer_the_accumulator_has_the_structure_of_an_element():
    elems = (np.arange(4.0), np.arange(8.0).reshape(4, 2))

    def add(a, b):
        return a[0] + b[0], a[1] * b[1]

    for reverse in (False, True):
        assert_same(scan(add, elems, reverse=reverse), slow_scan(add, elems, reverse=reverse))


@contextmanager
def python_calls(fn):
    """Collect the calls that the interpreter makes to a function."""
    calls, code = [], getattr(fn, "py_func", fn).__code__

    def profile(frame, what, _):
        if what == "call" and frame.f_code is code:
            calls.append(what)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("fn", [leaky_sum, JITTED, uncompiled])
def test_what_can_be_compiled_is_and_only_once(fn):
    elems = np.arange(5.0)
    with python_calls(fn) as calls:
        scan(fn, elems, 0.0)
    assert len(calls) == (5 if fn is uncompiled else 0)
    with event.install_recorder("numba:compile") as compiled:
        scan(fn, elems + 1, 1.0)
    assert not compiled.buffer


def test_any_callable_works():
    np.testing.assert_array_equal(scan(np.add, np.arange(4)), [0, 1, 3, 6])
    letters = np.array([*"abc"], object)
    np.testing.assert_array_equal(scan(lambda text, letter: text + letter, letters), ["a", "ab", "abc"])
    with pytest.raises(ValueError, match="<U1, got <U2"):  # and nothing is cut off
        scan(lambda text, letter: text + letter, np.array([*"abc"]))


FACTOR = np.array([2.0])


def times_factor(total, x):
    return total + FACTOR[0] * x


def test_changed_values_from_outside_are_seen():
    def scaled_by(scale):
        return scan(lambda total, x: total + scale * x, np.arange(4.0))

    for scale in (2.0, 3.0, np.float32(0.5), 2):
        np.testing.assert_array_equal(scaled_by(scale), scale * np.array([0.0, 1, 3, 6]))
    np.testing.assert_array_equal(scan(times_factor, np.arange(4.0)), [0, 2, 6, 12])
    FACTOR[0] = 5.0
    np.testing.assert_array_equal(scan(times_factor, np.arange(4.0)), [0, 5, 15, 30])

    def with_default(total, x, step=FACTOR):
        return total + step[0] * x

    np.testing.assert_array_equal(scan(with_default, np.arange(4.0)), [0, 5, 15, 30])
    FACTOR[0] = 1.0
    np.testing.assert_array_equal(scan(with_default, np.arange(4.0)), [0, 1, 3, 6])


@pytest.fixture
def package(monkeypatch):
    """Return a package with the module `settings` inside, in which ALPHA is 2."""
    package, settings = types.ModuleType("package"), types.ModuleType("package.settings")
    package.settings, settings.ALPHA = settings, 2.0
    monkeypatch.setitem(globals(), "package", package)
    return package


def by_chain(total, x):
    return total + package.settings.ALPHA * x


def by_local_name(total, x):
    settings = package.settings
    return total + settings.ALPHA * x


def by_inner_function(total, x):
    def scaled(value):
        return package.settings.ALPHA * value

    return total + scaled(x)


def by_tuple(total, x):
    return total + package.settings.ALPHA[0][1] * x


def by_record(total, x):
    return total + package.settings.ALPHA.scale * x


def by_array_of_records(total, x):
    return total + package.settings.ALPHA[0].scale * x


def by_slice(total, x):
    return total + np.ones(9)[package.settings.ALPHA].sum() * x


class Setting(NamedTuple):
    offset: float
    scale: float


class Swapped(NamedTuple):
    scale: float
    offset: float


FIELDS = [("offset", "f8"), ("scale", "f8")]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize(
    ("fn", "value"),
    [
        (by_chain, float),
        (by_local_name, float),
        (by_inner_function, float),
        (by_tuple, lambda alpha: ((1.0, alpha),)),
        (by_tuple, lambda alpha: np.array([[1.0, alpha]])),
        (by_record, lambda alpha: Setting(7.0, alpha)),
        (by_record, lambda alpha: Setting(2.0, 3.0) if alpha == 3 else Swapped(2.0, 3.0)),
        (by_record, lambda alpha: np.array([(7.0, alpha)], FIELDS)[0]),
        (by_array_of_records, lambda alpha: np.array([(2.0, 3.0)], FIELDS if alpha == 3 else FIELDS[::-1])),
        (by_slice, lambda alpha: slice(0, alpha)),
    ],
)
def test_changed_constants_of_a_module_in_a_package_are_seen(package, fn, value):
    for alpha in (2, 3, 2, 3):  # a new object can get the id of one that is gone
        package.settings.ALPHA = value(alpha)
        with python_calls(fn) as calls:
            np.testing.assert_array_equal(scan(fn, np.arange(4.0)), alpha * np.array([0.0, 1, 3, 6]))
        assert not calls


def test_a_module_that_is_exchanged_or_makes_its_attributes_is_seen(package):
    assert scan(by_chain, np.arange(3.0))[-1] == 6
    package.settings = types.ModuleType("package.settings")
    package.settings.__getattr__ = {"ALPHA": 3.0}.__getitem__
    assert scan(by_chain, np.arange(3.0))[-1] == 9
    package.settings.__getattr__ = {"ALPHA": 4.0}.__getitem__
    assert scan(by_chain, np.arange(3.0))[-1] == 12
    del package.settings.__getattr__
    with pytest.raises(AttributeError, match="ALPHA"):
        scan(by_chain, np.arange(3.0))


def test_a_module_of_an_enclosing_function_is_followed(package):
    def scaled():
        settings = package.settings
        return scan(lambda total, x: total + settings.ALPHA * x, np.arange(3.0))[-1]

    assert scaled() == 6
    package.settings.ALPHA = 5.0
    assert scaled() == 15


def raises_its_own(total, x):
    if x > 2:
        raise KeyError(f"its own at {x}")
    return total + x


def reads_too_far(total, x):
    return total + np.ones(3)[int(x)]


def uses_what_is_not_there(total, x):
    return total + not_there  # noqa: F821


@pytest.mark.parametrize(
    ("fn", "error", "message"),
    [
        (raises_its_own, KeyError, "its own at 3.0"),
        (reads_too_far, IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        (uses_what_is_not_there, NameError, "not_there"),
    ],
)
def test_errors_of_the_function_are_its_own(fn, error, message):
    with pytest.raises(error, match=message):
        scan(fn, np.arange(6.0))


def writes_into_its_accumulator(h, x):
    h[0] = x
    return h


@pytest.mark.parametrize(
    ("fn", "elems", "initializer", "message"),
    [
        (leaky_sum, np.arange(3), None, "kind of number of the first accumulator, int64, got float64"),
        (lambda h, x: h[:2] if x > 1 else h, np.arange(3), np.ones(3), r"shape .*\(3,\), got \(2,\)"),
        (lambda h, x: h[0], np.arange(3), np.ones(3), r"shape .*\(3,\), got \(\)"),
        (lambda h, x: (h, x), np.arange(3), 1.0, r"shape .*\(\), got \(2,\)"),
        (lambda h, x: h[0], np.arange(3), (1.0, 2.0), "a tuple of 2 where .*, got float64"),
        (lambda h, x: (*h, x), np.arange(3), (1.0, 2.0), "a tuple of 2 where .*, got a tuple of 3"),
        (lambda h, x: None, np.arange(3), 1.0, "kind of number .*, got object"),
        (leaky_sum, (np.arange(3), (np.arange(4),)), None, r"same length, got \[3, 4\]"),
        (leaky_sum, np.zeros(0), None, "elems is empty"),
        (leaky_sum, 3.0, None, "elems must have a first axis"),
        (leaky_sum, (), None, "elems must be arrays or tuples of arrays"),
        (leaky_sum, np.arange(3), (), "initializer must be arrays or tuples of arrays"),
        (writes_into_its_accumulator, np.arange(3), np.ones(2), "read-only"),
    ],
)
def test_what_does_not_fit_is_named(fn, elems, initializer, message):
    with pytest.raises(ValueError, match=message):
        scan(fn, elems, initializer)


def test_fn_must_be_callable():
    with pytest.raises(TypeError, match="fn must be a function"):
        scan(3, np.arange(3))


def test_inputs_are_left_as_they_are():
    elems, initializer = np.arange(12.0).reshape(2, 6).T[::2], np.zeros(2)  # neither order is contiguous
    before = elems.copy()
    out = scan(vanilla_step, elems, initializer)
    assert_same(out, slow_scan(vanilla_step, before, np.zeros(2)))
    out[:] = 7
    np.testing.assert_array_equal(elems, before)
    np.testing.assert_array_equal(initializer, 0)


def test_the_module_does_not_hide_the_function():
    modules = {name.rpartition(".")[2] for name in sys.modules if name.startswith("fastrnn.")}
    assert "_scan" in modules
    assert not modules & set(fastrnn._PUBLIC)
    assert fastrnn.scan is scan


SCAN_IN_A_FILE = """
import numpy as np, user
print(user.run().tolist())
"""
USER = """
import numpy as np
from fastrnn import scan

def run():
    return scan(lambda total, x: total + 2 * x, np.arange(4))
"""


def test_functions_of_users_are_never_read_from_disk(package_copy):
    user = package_copy.folder / "user.py"
    user.write_text(USER)
    assert package_copy.run(SCAN_IN_A_FILE) == "[0, 2, 6, 12]"
    assert package_copy.kernel_files() == []
    user.write_text(USER.replace("2 * x", "3 * x"))
    assert package_copy.run(SCAN_IN_A_FILE) == "[0, 3, 9, 18]"
    assert package_copy.run(SCAN_IN_A_FILE, NUMBA_DISABLE_JIT="1") == "[0, 3, 9, 18]"
