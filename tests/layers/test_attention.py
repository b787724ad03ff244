import copy
import pickle

import numpy as np
import pytest

from fastrnn.layers import Attention, gradcheck
from fastrnn.layers.attention import SCORES

STEPS, BATCH, QUERIES, SIZE = 4, 5, 3, 6  # of the memory, of both, of the queries
MEMORY_LENGTHS, LENGTHS = [4, 1, 0, 3, 4], [3, 2, 3, 0, 1]


def problem(score, dtype="float64"):
    """Return a layer, a memory and queries."""
    rng = np.random.default_rng(0)
    query_size = SIZE if score == "dot" else 4
    layer = Attention(query_size, SIZE, score, 7 if score == "additive" else None, dtype=dtype, random_state=0)
    return layer, rng.standard_normal((STEPS, BATCH, SIZE)), rng.standard_normal((QUERIES, BATCH, query_size))


def attend(layer, memory, queries, lengths=LENGTHS, **options):
    return layer.forward(queries, layer.read(memory, MEMORY_LENGTHS), lengths, **options)


def slow(layer, memory, queries):
    """Attend with one query after the other, by the definitions."""
    p = layer.state_dict()
    contexts, weights = np.zeros((QUERIES, BATCH, SIZE)), np.zeros((QUERIES, BATCH, STEPS))
    for b, (length, count) in enumerate(zip(LENGTHS, MEMORY_LENGTHS, strict=True)):
        vectors = memory[:count, b]
        for t in range(length if count else 0):
            query = queries[t, b]
            if layer.score == "additive":
                hidden = np.tanh(p["weight_query"] @ query + p["bias"] + vectors @ p["weight_memory"].T)
                scores = hidden @ p["score"]
            else:
                scores = (vectors @ p["weight_memory"].T if layer.score == "general" else vectors) @ query
            share = np.exp(scores) / np.exp(scores).sum()
            weights[t, b, :count], contexts[t, b] = share, share @ vectors
    return contexts, weights


@pytest.mark.parametrize("score", SCORES)
def test_contexts_are_those_of_the_definition(score):
    layer, memory, queries = problem(score)
    for got, expected in zip(attend(layer, memory, queries), slow(layer, memory, queries), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


class Both:
    """A layer for `gradcheck`, whose input is the memory, with the queries behind it."""

    def __init__(self, layer, shapes):
        self.layer, self.shapes = layer, shapes
        self.dtype, self.backend, self.zero_grad = layer.dtype, layer.backend, layer.zero_grad
        self.parameters, self.grads = layer.parameters, layer.grads

    def __deepcopy__(self, memo):
        return Both(copy.deepcopy(self.layer), self.shapes)

    def forward(self, x, training):
        cut = np.prod(self.shapes[0])
        memory, queries = x[:cut].reshape(self.shapes[0]), x[cut:].reshape(self.shapes[1])
        memory = self.layer.read(memory, MEMORY_LENGTHS, training)
        return self.layer.forward(queries, memory, LENGTHS, training=training)[0]

    def backward(self, d_contexts):
        d_queries = self.layer.backward(d_contexts)
        return self.backend.asarray(np.concatenate([np.ravel(self.layer.read_backward()), np.ravel(d_queries)]))


@pytest.mark.parametrize("score", SCORES)
def test_gradients_equal_differences(score):
    layer, memory, queries = problem(score)
    errors = gradcheck(Both(layer, (memory.shape, queries.shape)), np.concatenate([memory.ravel(), queries.ravel()]))
    assert errors.keys() == {"x", *layer.parameters}


@pytest.mark.parametrize("score", SCORES)
def test_padding_changes_nothing_and_gets_no_gradient(score):
    layer, memory, queries = problem(score)
    for b in range(BATCH):
        memory[MEMORY_LENGTHS[b] :, b], queries[LENGTHS[b] :, b] = np.nan, 0
    for got, expected in zip(attend(layer, memory, queries), slow(layer, np.nan_to_num(memory), queries), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)
    layer.forward(queries, layer.read(memory, MEMORY_LENGTHS, training=True), LENGTHS, training=True)
    d_queries, d_memory = layer.backward(np.ones((QUERIES, BATCH, SIZE))), layer.read_backward()
    for b in range(BATCH):
        assert not d_memory[MEMORY_LENGTHS[b] :, b].any()
        assert not d_queries[LENGTHS[b] :, b].any()
        assert d_memory[: MEMORY_LENGTHS[b], b].any() == (MEMORY_LENGTHS[b] > 0 and LENGTHS[b] > 0)
    assert all(np.isfinite(gradient).all() for gradient in layer.grads.values())


@pytest.mark.parametrize("score", SCORES)
def test_a_memory_can_be_shared_by_several_queries(score):
    layer, memory, queries = problem(score, "float32")
    contexts, weights = attend(layer, memory, queries, None)
    sources = np.array([4, 0, 0, 2])
    shared = layer.forward(queries[:1, sources], layer.read(memory, MEMORY_LENGTHS), sources=sources)
    for got, expected in zip(shared, (contexts, weights), strict=True):
        np.testing.assert_allclose(got[0], expected[0, sources], atol=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_a_sequence_does_not_depend_on_the_batch(score):
    layer, memory, queries = problem(score, "float32")
    together = attend(layer, memory, queries)
    for b in range(BATCH):
        alone = layer.read(memory[: max(MEMORY_LENGTHS[b], 1), b : b + 1], MEMORY_LENGTHS[b : b + 1])
        contexts, weights = layer.forward(queries[:, b : b + 1], alone, LENGTHS[b : b + 1])
        np.testing.assert_array_equal(contexts[:, 0], together[0][:, b])
        np.testing.assert_array_equal(weights[:, 0], together[1][:, b, : alone.steps])


def test_gradients_of_a_memory_add_up_over_passes():
    layer, memory, queries = problem("additive")
    d_contexts, d_memories = np.ones((QUERIES, BATCH, SIZE)), []
    for steps in ([0, 1, 2], [0], [1], [2]), ([0, 1, 2],):
        kept = layer.read(memory, MEMORY_LENGTHS, training=True)
        for some in steps:
            lengths = np.clip(np.array(LENGTHS) - some[0], 0, len(some))
            layer.forward(queries[some], kept, lengths, training=True)
            layer.backward(d_contexts[some])
        d_memories.append(layer.read_backward())
    np.testing.assert_allclose(d_memories[0], 2 * d_memories[1], atol=1e-12)


def test_backward_needs_the_passes_before_it():
    layer, memory, queries = problem("general")
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        layer.backward(np.ones((QUERIES, BATCH, SIZE)))
    layer.forward(queries, layer.read(memory), training=True)
    with pytest.raises(RuntimeError, match="backward needs a memory that was read with training=True"):
        layer.backward(np.ones((QUERIES, BATCH, SIZE)))
    layer.read(memory, training=True)
    with pytest.raises(RuntimeError, match="read_backward needs a read with training=True and a backward"):
        layer.read_backward()


def test_a_copied_layer_computes_the_same():
    layer, memory, queries = problem("additive")
    layer.forward(queries, layer.read(memory, training=True), training=True)
    twin = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(attend(twin, memory, queries)[0], attend(layer, memory, queries)[0])
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        twin.backward(queries)


def test_wrong_arguments_are_named():
    layer, memory, queries = problem("additive")
    read = layer.read(memory)
    for call, message in [
        (lambda: Attention(3, 4, "dot"), "memory_size must be query_size=3 for score='dot', got 4"),
        (lambda: Attention(3, 4, "cosine"), "score must be one of .*, got 'cosine'"),
        (lambda: Attention(3, 4, attention_size=0), "attention_size must be"),
        (lambda: layer.read(memory[0]), r"memory must have shape \(S, B, 6\), got \(5, 6\)"),
        (lambda: layer.read(memory, [5] * 5), "lengths must be 5 integers from 0 to 4"),
        (lambda: layer.forward(memory, read), r"queries must have shape \(T, B, 4\), got \(4, 5, 6\)"),
        (lambda: layer.forward(queries[:, :3], read), r"queries must have shape \(T, 5, 4\), as many as"),
        (lambda: layer.forward(queries, read, [1]), "lengths must be 5 integers from 0 to 3"),
        (lambda: layer.forward(queries, read, sources=[0, 1, 2, 3, 5]), "sources must be 5 integers from 0 to 4"),
        (lambda: layer.read(memory, [1.5] * 5), "lengths must be 5 integers from 0 to 4"),
        (lambda: layer.forward(queries, memory), "memory must be what attention.read returned, got an array"),
        (
            lambda: Attention(4, 6, attention_size=3).forward(queries, read),
            "with keys of length 3 in float32",
        ),
        (
            lambda: layer.forward(queries, read, sources=[0, 1, 1, 2, 3], training=True),
            "sources must be different numbers in training",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_gradients_have_the_shape_of_contexts_and_the_memory_that_was_read():
    layer, memory, queries = problem("dot")
    first = layer.read(memory, training=True)
    layer.forward(queries, first, training=True)
    with pytest.raises(ValueError, match="d_contexts must have shape"):
        layer.backward(np.ones((*queries.shape[:2], memory.shape[2] + 1)))
    layer.read(memory[:2], training=True)
    with pytest.raises(RuntimeError, match="a memory that was read with training=True, and no other since"):
        layer.backward(np.ones((*queries.shape[:2], memory.shape[2])))
