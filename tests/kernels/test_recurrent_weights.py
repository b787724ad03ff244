import weakref

import numpy as np

from fastrnn.layers import Attention, Recurrent


def test_what_is_made_of_a_memory_is_kept_as_long_as_the_memory():
    layer = Recurrent("gru", 3, 5, context_size=4, random_state=0)
    attention = Attention(5, 4, random_state=0)
    memories = [attention.read(np.full((2, 3, 4), value)) for value in (1.0, -1.0)]
    with layer.held_weights():
        (held,) = layer.held_weights().value
        attended = [attention.attended(memory, 1) for memory in memories]
        tables = [held.context_table(each, 1) for each in attended]
        prepared = [held.prepared(each, 1) for each in attended]
        for each, table, made in zip(attended, tables, prepared, strict=True):
            assert held.context_table(each, 1) is table
            assert held.prepared(each, 1) is made
        np.testing.assert_allclose(tables[0], -tables[1], rtol=1e-6)
        freed = [weakref.ref(array) for array in (*tables, memories[0].keys)]
        memories.clear()
        attended.clear()
        tables.clear()
        del each, table, made
        assert [array() for array in freed] == [None] * 3
