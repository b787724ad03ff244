import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.batching import IGNORED, contiguous_streams, sentence_batches, sentence_groups, stream_batches


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 12))
def test_streams_hold_every_token_once_and_its_predecessor(n, n_streams, steps):
    ids = np.arange(10, 10 + n, dtype=np.int32)
    inputs, targets = contiguous_streams(ids, 3, n_streams)
    assert inputs.shape == targets.shape
    assert inputs.shape[1] == n_streams
    flat_inputs, flat_targets = inputs.T.reshape(-1), targets.T.reshape(-1)
    np.testing.assert_array_equal(flat_targets[:n], ids)
    assert (flat_targets[n:] == IGNORED).all()
    np.testing.assert_array_equal(flat_inputs[:n], [3, *ids[:-1]])
    batches = stream_batches(inputs, targets, steps)
    np.testing.assert_array_equal(np.concatenate([batch.inputs for batch in batches]), inputs)
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert all(len(batch.inputs) == batch.advance <= steps for batch in batches)


@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_overlapping_batches_count_every_target_once(n, steps, data):
    stride = data.draw(st.integers(1, steps))
    ids = np.arange(10, 10 + n, dtype=np.int32)
    inputs, targets = contiguous_streams(ids, 3, 1)
    batches = stream_batches(inputs, targets, steps, stride)
    begin, counted = 0, []
    for batch in batches:
        np.testing.assert_array_equal(batch.inputs, inputs[begin : begin + len(batch.inputs)])
        counted.append(batch.targets[batch.targets != IGNORED])
        assert len(counted[-1]) <= stride
        assert len(batch.inputs) <= steps
        begin += batch.advance
    np.testing.assert_array_equal(np.concatenate(counted), ids)
    for batch in batches[steps // stride + 1 : -1]:  # later on, gradients go back as far as they may
        assert len(batch.inputs) == steps


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5), st.integers(1, 6))
def test_sentences_side_by_side(lengths, batch_size, steps):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.arange(10, 10 + offsets[-1], dtype=np.int32)
    groups = sentence_groups(offsets, batch_size, np.random.RandomState(0))
    assert sorted(np.concatenate(groups)) == list(range(len(lengths)))
    for group in groups:
        assert len(group) <= batch_size
        batches = sentence_batches(ids, offsets, group, 2, steps)
        inputs, targets = (np.concatenate([getattr(b, name) for b in batches]) for name in ("inputs", "targets"))
        np.testing.assert_array_equal(sum(b.lengths for b in batches), np.array(lengths)[group])
        assert all(b.lengths.max() <= len(b.inputs) <= steps for b in batches)
        for column, sentence in enumerate(group):
            expected = ids[offsets[sentence] : offsets[sentence + 1]]
            np.testing.assert_array_equal(targets[: len(expected), column], expected)
            assert (targets[len(expected) :, column] == IGNORED).all()
            np.testing.assert_array_equal(inputs[: len(expected), column], [2, *expected[:-1]])


def test_groups_without_a_seed_are_sorted_by_length():
    groups = sentence_groups(np.array([0, 5, 6, 9]), 2)
    assert [group.tolist() for group in groups] == [[1, 2], [0]]


@pytest.mark.parametrize("n_streams", [1, 3])
def test_no_text_gives_no_steps(n_streams):
    inputs, _ = contiguous_streams(np.empty(0, np.int32), 3, n_streams)
    assert inputs.shape == (0, n_streams)
