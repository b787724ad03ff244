"""Gradients by every state of a loss that reads outputs and last states, as a decoder does."""

import numpy as np
import pytest

from fastrnn.inspection._unrolled import unroll
from tests.inspection import slow
from tests.inspection.conftest import random_layer, random_sequences


@pytest.mark.parametrize(("cell", "topology"), [("lstm", "bidirectional"), ("gru", "reverse"), ("lstm", "one layer")])
def test_a_loss_that_reads_the_last_states_too(cell, topology):
    layer, sequences = random_layer(cell, topology), random_sequences()
    unrolled, random = unroll(layer, sequences), np.random.default_rng(2)
    parts = len(unrolled.traces)
    dy = random.standard_normal(unrolled.y.shape)
    for b, sequence in enumerate(sequences):
        dy[len(sequence) :, b] = 0
    d_last = [random.standard_normal((parts, len(sequences), 4)) for _ in layer.cell.states]
    d_states = unrolled.backward(dy, d_last)
    for b, sequence in enumerate(sequences):

        def loss(shift, b=b, x=sequence):
            y, states = slow.run(cell, x, layer, shift)
            total = np.sum(y * dy[: len(x), b])
            for n, of_direction in enumerate(states):
                end = 0 if unrolled.traces[n].is_reverse else -1
                total += sum(part[end] @ d[n, b] for part, d in zip(of_direction, d_last, strict=True))
            return total

        for n in range(parts):
            for state in range(len(layer.cell.states)):
                for t in range(len(sequence)):
                    expected = slow.gradient_norm(loss, (n, t, state), 4)
                    assert np.linalg.norm(d_states[n][state][t, b]) == pytest.approx(expected, rel=1e-6, abs=1e-9)
