import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text.batching import IGNORED, SentenceBatches, StreamBatches, Streams, sentence_groups, shift_right


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 12))
def test_streams_hold_every_token_once_and_its_predecessor(n, n_streams, steps):
    ids = np.arange(10, 10 + n, dtype=np.int32)
    streams = Streams(ids, 3, n_streams)
    inputs, targets = streams.cut(0, len(streams))
    assert inputs.shape == targets.shape
    assert inputs.shape[1] == n_streams
    flat_inputs, flat_targets = inputs.T.reshape(-1), targets.T.reshape(-1)
    np.testing.assert_array_equal(flat_targets[:n], ids)
    assert (flat_targets[n:] == IGNORED).all()
    np.testing.assert_array_equal(flat_inputs[:n], [3, *ids[:-1]])
    batches = StreamBatches(streams, steps)
    np.testing.assert_array_equal(np.concatenate([batch.inputs for batch in batches]), inputs)
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert all(len(batch.inputs) == batch.advance <= steps for batch in batches)


@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_overlapping_batches_count_every_target_once(n, steps, data):
    stride = data.draw(st.integers(1, steps))
    ids = np.arange(10, 10 + n, dtype=np.int32)
    streams = Streams(ids, 3, 1)
    inputs, _ = streams.cut(0, n)
    batches = list(StreamBatches(streams, steps, stride))
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
    together = SentenceBatches(ids, offsets, groups, 2, steps)
    assert sum(np.count_nonzero(batch.targets != IGNORED) for batch in together) == len(ids)
    for group in groups:
        assert len(group) <= batch_size
        batches = list(SentenceBatches(ids, offsets, [group], 2, steps))
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
    streams = Streams(np.empty(0, np.int32), 3, n_streams)
    assert streams.cut(0, len(streams))[0].shape == (0, n_streams)
    assert len(StreamBatches(streams, 4)) == 0


@given(st.integers(1, 400), st.integers(1, 3), st.integers(1, 40), st.integers(0, 99))
def test_random_lengths_cover_the_text_once(n, n_streams, steps, seed):
    streams = Streams(np.arange(10, 10 + n, dtype=np.uint16), 3, n_streams)
    inputs, targets = streams.cut(0, len(streams))
    batches = list(StreamBatches(streams, steps, random_state=np.random.RandomState(seed)))
    np.testing.assert_array_equal(np.concatenate([batch.inputs for batch in batches]), inputs)
    np.testing.assert_array_equal(np.concatenate([batch.targets for batch in batches]), targets)
    assert all(len(batch.inputs) == batch.advance >= min(5, steps) for batch in batches[:-1])
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)


def test_random_lengths_are_those_of_the_paper():
    streams = Streams(np.zeros(200_000, np.int32), 3, 1)
    lengths = np.array([b.advance for b in StreamBatches(streams, 70, random_state=np.random.RandomState(0))][:-1])
    usual = lengths > 52
    assert 0.93 < usual.mean() < 0.97
    assert abs(lengths[usual].mean() - 69.5) < 0.5
    assert abs(lengths[usual].std() - 5) < 0.5
    assert abs(lengths[~usual].mean() - 34.5) < 2


def test_inputs_are_the_targets_of_the_step_before():
    targets = np.array([[5, 6], [7, 8], [9, 3]], np.uint16)
    inputs = shift_right(targets, 2)
    assert inputs.dtype == np.int32
    np.testing.assert_array_equal(inputs, [[2, 2], [5, 6], [7, 8]])
    np.testing.assert_array_equal(shift_right(targets, np.array([1, 4])), [[1, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(shift_right(targets[:, 0], 2), [2, 5, 7])
    assert shift_right(targets[:0], 2).shape == (0, 2)
