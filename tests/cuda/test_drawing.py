"""Tokens drawn on the device, beside those that the CPU's kernel draws."""

import math

import numpy as np
import pytest

from fastrnn.kernels.sampling import draw_token, make_choice
from fastrnn.utils.recurrent import TokenOutput

CHOICES = {
    "all tokens": (1.0, None, None),
    "greedy": (0, None, None),
    "temperature": (0.3, None, None),
    "top_k": (1.5, 4, None),
    "top_k is 1": (1.0, 1, None),
    "top_p": (1.0, None, 0.7),
    "tiny top_p": (1.0, None, 1e-9),
    "both": (0.8, 6, 0.6),
    "more than there are": (1.0, 50, 0.999),
}


def drawn(ops, logits, bias, uniforms, choice, never=(0,), end=1):
    """Return the first tokens of some texts, and the vectors that the device looked up."""
    from fastrnn.cuda.drawing import make_drawing, prepare_draw

    rows, classes = logits.shape
    embedding = np.arange(3 * classes, dtype=logits.dtype).reshape(classes, 3)
    drawing = make_drawing(rows, classes, logits.dtype, TokenOutput(None, None, never, end), choice)
    ops.assign(drawing.logits, ops.asarray(logits))
    tokens, steps, vectors = ops.zeros((1, rows), "int32"), ops.zeros(rows, "int32"), ops.zeros((rows, 4), logits.dtype)
    prepare_draw(tokens, steps, vectors, drawing, ops.asarray(bias), ops.asarray(embedding),
                 ops.asarray(uniforms[np.newaxis]))()  # fmt: skip
    np.testing.assert_array_equal(ops.to_numpy(steps), 1)
    tokens = ops.to_numpy(tokens)[0]
    np.testing.assert_array_equal(ops.to_numpy(vectors)[:, :3], embedding[tokens])
    return tokens


def expected(logits, bias, uniforms, choice, never=(0,), end=1):
    """Return the tokens that the CPU draws."""
    tokens = []
    for row, uniform in zip(logits + bias, uniforms, strict=True):
        row[list(never)] = -np.inf
        p = np.array([math.exp((logit - row.max()) / choice.temperature) for logit in row])
        tokens.append(draw_token(p, choice.top_k, choice.top_p, uniform, end))
    return tokens


@pytest.mark.parametrize(("case", "dtype"), [*((case, "float32") for case in CHOICES), ("both", "float64")])
def test_the_tokens_are_those_of_the_cpu(ops, case, dtype):
    rng, rows = np.random.default_rng(0), 1 if dtype == "float64" else 3
    logits, bias = (2 * rng.standard_normal(shape).astype(dtype) for shape in ((rows, 11), 11))
    uniforms, choice = rng.random(rows), make_choice(*CHOICES[case], 11)
    np.testing.assert_array_equal(drawn(ops, logits, bias, uniforms, choice), expected(logits, bias, uniforms, choice))


@pytest.mark.parametrize(("top_k", "top_p"), [(1, None), (3, None), (None, 0.45), (6, 0.7)])
def test_of_equally_probable_tokens_the_first_ones_are_drawn(ops, top_k, top_p):
    logits = np.tile(np.array([0, -1, 2, 1, 2, 1, 1, 2, 1, 1], "f4"), (2, 1))
    uniforms, choice = np.array([0.3, 0.9999]), make_choice(1.0, top_k, top_p, 10)
    bias = np.zeros(10, "f4")
    np.testing.assert_array_equal(drawn(ops, logits, bias, uniforms, choice), expected(logits, bias, uniforms, choice))


def test_a_uniform_number_of_1_draws_no_token_without_probability(ops):
    logits = np.array([[5, 1, 2, -np.inf, -200, -np.inf]], "f4")
    tokens = drawn(ops, logits, np.zeros(6, "f4"), np.ones(1), make_choice(1.0, None, None, 6))
    np.testing.assert_array_equal(tokens, 2)


def test_the_end_is_drawn_where_no_token_has_a_probability(ops):
    logits = np.array([[1, -np.inf, -np.inf], [np.nan, 1, 2], [1, np.nan, 2], [1, np.inf, 2]], "f4")
    tokens = drawn(ops, logits, np.zeros(3, "f4"), np.full(4, 0.5), make_choice(1.0, None, None, 3), end=2)
    np.testing.assert_array_equal(tokens, 2)
