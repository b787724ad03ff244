"""Drawing a token from a distribution, or from its most probable part."""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel


class Choice(NamedTuple):
    """How a token is chosen from a distribution."""

    temperature: float
    top_k: int  # V for no limit
    top_p: float  # 1 for no limit


def make_choice(temperature, top_k, top_p, n_tokens):
    """Return the `Choice` among `n_tokens` tokens; None for `top_k` or `top_p` is no limit, temperature 0 is greedy."""
    if temperature == 0:
        return Choice(temperature=1.0, top_k=1, top_p=1.0)
    return Choice(
        temperature=float(temperature),
        top_k=n_tokens if top_k is None else min(top_k, n_tokens),
        top_p=1.0 if top_p is None else float(top_p),
    )


@kernel
def draw_token(p, top_k, top_p, uniform, end_id):
    """Return a token drawn in proportion to p (V,), which is overwritten; `end_id` where all are 0.

    Of equally probable tokens at the limit of `top_k` or `top_p` the first ones are kept.
    """
    total = p.sum()
    if not total > 0:
        return end_id
    if top_k == 1:
        return np.argmax(p)
    if top_k < len(p):
        total = _keep_largest(p, top_k, np.inf)
    if top_p < 1:
        total = _keep_largest(p, len(p), top_p * total)
    threshold = min(uniform * total, np.nextafter(total, 0.0))  # below the total: a p of 0 is never drawn
    cumulated, drawn = 0.0, end_id
    for token in range(len(p)):
        if p[token] > 0:
            cumulated += p[token]
            drawn = token
            if cumulated > threshold:
                break
    return drawn


@kernel
def _keep_largest(p, count, mass):
    """Set all but the largest p to 0: as many as `count`, as few as make up `mass`; return the sum of those kept.

    Bisection over the bits of floating-point numbers, which have the order of the numbers, finds the smallest value
    that is kept, without sorting.
    """
    bits = p.view(np.int64)
    low, high = 0, bits.max()  # all p >= low are too many or enough; the limit is the largest low that is enough
    while low < high:
        middle = low + (high - low + 1) // 2
        number, total = _at_least(p, bits, middle)
        if number >= count or total >= mass:
            low = middle
        else:
            high = middle - 1
    above, total = _at_least(p, bits, low + 1)
    for token in range(len(p)):
        if bits[token] < low:
            p[token] = 0
        elif bits[token] == low:
            if above < count and total < mass:
                above += 1
                total += p[token]
            else:
                p[token] = 0
    return total


@kernel
def _at_least(p, bits, limit):
    """Return how many of p have bits of at least `limit`, and their sum."""
    number, total = 0, 0.0
    for token in range(len(p)):
        if bits[token] >= limit:
            number += 1
            total += p[token]
    return number, total


@kernel
def draw_tokens(drawn, p, top_k, top_p, uniforms, end_id):
    """Draw a token from each row of p (n, V), which is overwritten."""
    # drawn (n,), uniforms (n,)
    for row in range(len(p)):
        drawn[row] = draw_token(p[row], top_k, top_p, uniforms[row], end_id)
