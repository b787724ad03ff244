"""Drawing a token from a row of logits by all threads of a block, as `fastrnn.kernels.sampling` does.

Tokens are ordered by the gap between their logit and the largest one, whose bits as an integer have the order of the
gaps: bisection over the bits finds the most probable tokens without sorting. Sums are of float64, in a fixed order.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import cuda, types

from fastrnn.cuda.arrays import asarray, empty
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import block_maximum, block_sum

_GROUP = 16  # threads whose sums are added by one of them


class Drawing(NamedTuple):
    """How tokens are drawn from rows of logits, and the memory for it."""

    logits: object  # (n, V); overwritten by the gaps
    keys: object  # (n, V), the bits of the gaps as integers
    p: object  # (n, V), 1 for the most probable token
    never: object  # (·,) int32, tokens that are not drawn
    end: int  # the token that is drawn where none has a probability
    temperature: object  # of the type of the logits
    top_k: int
    top_p: float
    last_key: int  # that of an infinite gap


def make_drawing(n, classes, dtype, output, choice):
    """Return the `Drawing` of `n` rows of `classes` logits, for a `TokenOutput` and a `Choice`."""
    logits, number = empty((n, classes), dtype), np.dtype(dtype).type
    integer = np.dtype(f"int{8 * logits.dtype.itemsize}")
    return Drawing(
        logits=logits,
        keys=logits.viewed(integer, logits.shape),
        p=empty((n, classes), dtype),
        never=asarray(np.array(output.never, np.int32)),
        end=int(output.end),
        temperature=number(max(choice.temperature, np.finfo(dtype).tiny)),
        top_k=int(choice.top_k),
        top_p=float(choice.top_p),
        last_key=int(np.array(np.inf, dtype).view(integer)),
    )


def shared_size(threads):
    """Return the number of float64 of shared memory that `draw_token` takes."""
    return 2 * threads


@device_function
def draw_token(drawing, row, bias, uniform, shared):
    """Return a token drawn from a row of logits, to all threads of the block; `bias` (V,) is added to them, or None."""
    # shared (shared_size(threads),) of float64
    logits, keys, p = drawing.logits[row], drawing.keys[row], drawing.p[row]
    largest = _largest_logit(logits, bias, drawing.never, shared)
    first = _first_largest(logits, largest, shared)
    total = _probabilities(p, logits, largest, drawing.temperature, shared)
    if not total > 0:
        return drawing.end
    if drawing.top_k == 1:
        return first
    if drawing.top_k < len(p):
        total = _keep_most_probable(p, logits, keys, drawing.last_key, drawing.top_k, math.inf, shared)
    if drawing.top_p < 1:
        mass = drawing.top_p * total
        total = _keep_most_probable(p, logits, keys, drawing.last_key, len(p), mass, shared)
    return _token_at(p, uniform, shared)


@device_function
def _largest_logit(logits, bias, never, shared):
    """Add the bias to the logits, set those of tokens that are never drawn to -∞, and return the largest logit."""
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    if bias is not None:
        for token in range(thread, len(logits), threads):
            logits[token] += bias[token]
    cuda.syncthreads()
    for k in range(thread, len(never), threads):
        logits[never[k]] = -math.inf
    cuda.syncthreads()
    largest = logits[0]
    for token in range(thread, len(logits), threads):
        if logits[token] > largest:
            largest = logits[token]
    return logits.dtype.type(block_maximum(largest, shared))


@device_function
def _first_largest(logits, largest, shared):
    """Return the first token with the largest logit."""
    own = len(logits)
    for token in range(cuda.threadIdx.x, len(logits), cuda.blockDim.x):
        if logits[token] == largest:
            own = min(own, token)
    return int(-block_maximum(-own, shared))


@device_function
def _probabilities(p, logits, largest, temperature, shared):
    """Replace the logits by their gaps to the largest one, compute p from them, and return the sum of p."""
    total = 0.0
    for token in range(cuda.threadIdx.x, len(p), cuda.blockDim.x):
        gap = largest - logits[token]
        logits[token] = gap
        p[token] = math.exp(-gap / temperature)
        total += p[token]
    return block_sum(total, shared)


@device_function
def _keep_most_probable(p, gaps, keys, last_key, count, mass, shared):
    """Set p of all but the most probable tokens to 0: as many as `count`, as few as make up `mass`; return their sum.

    Of equally probable tokens at the limit the first ones are kept.
    """
    low, high = 0, last_key  # the limit is the smallest key that is enough
    while low < high:
        middle = low + (high - low) // 2
        number, total = _within(p, keys, middle, shared)
        if number >= count or total >= mass:
            high = middle
        else:
            low = middle + 1
    number, total = _within(p, keys, low, shared)
    nearer, nearer_total = _within(p, keys, low - 1, shared)
    at_limit = 0.0
    for token in range(cuda.threadIdx.x, len(p), cuda.blockDim.x):
        if keys[token] == low:
            at_limit = float(p[token])
    at_limit = block_maximum(at_limit, shared)
    kept = min(number, count) - nearer
    if total >= mass:
        kept = min(kept, math.ceil((mass - nearer_total) / at_limit))
    _drop(p, gaps, keys, low, kept, shared)
    return nearer_total + kept * at_limit


@device_function
def _within(p, keys, limit, shared):
    """Return how many tokens have a key up to a limit, and the sum of their p."""
    number, total = 0.0, 0.0
    for token in range(cuda.threadIdx.x, len(p), cuda.blockDim.x):
        if keys[token] <= limit:
            number += 1.0
            total += p[token]
    return _block_sums(number, total, shared)


@device_function
def _block_sums(number, total, shared):
    """Return the sums of two values of each thread, to all threads, at the price of one; the first is an integer."""
    # shared (2 · threads,)
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    shared[thread], shared[threads + thread] = number, total
    cuda.syncthreads()
    half = threads // 2
    while half > 0:
        if thread < half:
            shared[thread] += shared[thread + half]
            shared[threads + thread] += shared[threads + thread + half]
        cuda.syncthreads()
        half //= 2
    number, total = shared[0], shared[threads]
    cuda.syncthreads()
    return int(number), total


@device_function
def _drop(p, gaps, keys, limit, kept, shared):
    """Set p to 0 and the gap to ∞ for tokens beyond a limit, and at it for all but the first `kept` ones."""
    begin, end = _own_tokens(len(p))
    number = 0.0
    for token in range(begin, end):
        if keys[token] == limit:
            number += 1.0
    shared[cuda.threadIdx.x] = number
    cuda.syncthreads()
    number = 0.0
    for thread in range(cuda.threadIdx.x):
        number += shared[thread]
    for token in range(begin, end):
        key = keys[token]
        if key == limit:
            number += 1.0
        if key > limit or (key == limit and number > kept):
            gaps[token] = math.inf
            p[token] = 0
    cuda.syncthreads()


@device_function
def _own_tokens(classes):
    """Return the first token of a thread's piece of the tokens, and the end of the piece."""
    size = (classes + cuda.blockDim.x - 1) // cuda.blockDim.x
    begin = min(size * cuda.threadIdx.x, classes)
    return begin, min(begin + size, classes)


@device_function
def _token_at(p, uniform, shared):
    """Return the token at which the sum of p exceeds its share `uniform` of the total, to all threads."""
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    begin, end = _own_tokens(len(p))
    own = 0.0
    for token in range(begin, end):
        own += p[token]
    shared[thread] = own
    cuda.syncthreads()
    groups = (threads + _GROUP - 1) // _GROUP
    if thread < groups:
        own = 0.0
        for place in range(thread * _GROUP, min(thread * _GROUP + _GROUP, threads)):
            own += shared[place]
        shared[threads + thread] = own
    cuda.syncthreads()
    if thread == 0:
        total = 0.0
        for group in range(groups):
            total += shared[threads + group]
        # Below the total, by more than a rounding: a p of 0 is never drawn.
        threshold = min(uniform, 1 - 2.3e-16) * total
        group, before = _crossing(shared, threads, threads + groups, 0.0, threshold)
        begin = (group - threads) * _GROUP
        piece, before = _crossing(shared, begin, min(begin + _GROUP, threads), before, threshold)
        size = (len(p) + threads - 1) // threads
        token, _ = _crossing(p, piece * size, min(piece * size + size, len(p)), before, threshold)
        shared[0] = token
    cuda.syncthreads()
    token = int(shared[0])
    cuda.syncthreads()
    return token


@device_function
def _crossing(values, begin, end, before, threshold):
    """Return the place where a sum of positive values exceeds a threshold, and the sum before it.

    Where rounding keeps the sum below the threshold this is the last positive value.
    """
    found, total = begin, before
    for place in range(begin, end):
        if values[place] > 0:
            found, before = place, total
            total += values[place]
            if total > threshold:
                break
    return found, before


@kernel
def _draw(tokens, steps, vectors, drawing, bias, embedding, uniforms):
    """Draw the next token of each text, and look its vector up."""
    # tokens, uniforms (T, n), steps (n,), vectors (n, ≥ D), embedding (V, D)
    shared = cuda.shared.array(0, types.float64)
    for row in range(cuda.blockIdx.x, tokens.shape[1], cuda.gridDim.x):
        step, token = steps[row], drawing.end
        if step == 0 or tokens[step - 1, row] != drawing.end:
            token = draw_token(drawing, row, bias, uniforms[step, row], shared)
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            tokens[step, row] = token
            steps[row] = step + 1
        for column in range(cuda.threadIdx.x, embedding.shape[1], cuda.blockDim.x):
            vectors[row, column] = embedding[token, column]


def prepare_draw(tokens, steps, vectors, drawing, bias, embedding, uniforms):
    """Return a function that draws the next token of each text.

    Parameters
    ----------
    tokens : array (T, n) of int32
        Output: row ``steps[b]`` of text b.
    steps : array (n,) of int32
        Tokens drawn so far; it counts on.
    vectors : array (n, ≥ D)
        Takes the vectors of the tokens, in its first D columns.
    drawing : Drawing
        With the logits without their bias.
    bias : array (V,)
    embedding : array (V, D)
    uniforms : array (T, n) of float64
    """
    found = device()
    return _draw.prepare(min(len(drawing.p), found.blocks), found.threads, tokens, steps, vectors, drawing, bias,
                         embedding, uniforms, shared=8 * shared_size(found.threads))  # fmt: skip
