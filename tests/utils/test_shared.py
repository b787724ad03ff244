import copy
import pickle

import pytest

from fastrnn.utils.shared import Held


class Counter:
    """Counts how often it is called."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.calls


def test_a_value_is_there_while_anybody_holds_it():
    other = Held(Counter())
    held = Held(Counter(), other)
    assert held.value is None
    with held, held:
        assert (held.value, other.value) == (1, 1)
        held.keep()
    assert held.value == 1
    held.keep()
    held.drop()
    assert (held.value, other.value) == (None, None)
    held.drop()
    held.keep()
    with held:
        assert (held.value, other.value) == (2, 2)
        held.drop()
        assert held.value == 2
    assert (held.value, other.value) == (None, None)


def test_an_error_leaves_nothing_held():
    other = Held(Counter())
    held = Held({}.popitem, other)
    with pytest.raises(KeyError):
        held.keep()
    assert held.value is None
    assert other.value is None


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_held_by_nobody(duplicate):
    held = Held(Counter())
    held.keep()
    twin = duplicate(held)
    assert twin.value is None
    held.drop()
    with twin:
        assert twin.value == 2  # it was prepared once before
        assert held.value is None
