"""The most probable extensions of hypotheses by one token, and which of them end or go on."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.maximum import maximum
from fastrnn.simd import lanes, load, max_lanes

_BLOCK = 64  # scores whose maximum is compared at once


@kernel
def best_extensions(rows, tokens, totals, counts, scores, before, offsets):
    """Find the extensions with the largest total, ``before[row] + scores[row, token]``, of each group of rows.

    Each score is read once, and nothing is sorted but what is found. Of equal totals the one of the first row, then of
    the first token, is preferred. Totals of minus infinity or NaN are never found.

    Parameters
    ----------
    rows, tokens : int64 array (B, count), int32 array (B, count)
        Output: the extensions of each group, largest total first.
    totals : float64 array (B, count)
        Output.
    counts : int64 array (B,)
        Output: the number of extensions of each group.
    scores : float array (n, V)
    before : float64 array (n,)
    offsets : int64 array (B + 1,)
        Group b has the rows ``offsets[b]`` to ``offsets[b + 1] - 1``.
    """
    for group in range(len(counts)):
        counts[group] = 0
        for row in range(offsets[group], offsets[group + 1]):
            counts[group] = _add_row(rows[group], tokens[group], totals[group], counts[group], scores, before[row], row)


@kernel(inline="always")
def _add_row(rows, tokens, totals, count, scores, added, row):
    """Put the extensions of a row among the largest found so far; return their number."""
    # rows, tokens, totals (most,)
    most, classes = len(totals), scores.shape[1]
    limit = totals[most - 1] if count == most else -np.inf
    for first in range(0, classes, _BLOCK):
        last = min(first + _BLOCK, classes)
        if last - first == _BLOCK and not _largest_of_block(scores, row * classes + first) + added > limit:
            continue
        for token in range(first, last):
            total = np.float64(scores[row, token]) + added
            if total > limit:
                place = min(count, most - 1)
                while place > 0 and totals[place - 1] < total:
                    rows[place], tokens[place], totals[place] = rows[place - 1], tokens[place - 1], totals[place - 1]
                    place -= 1
                rows[place], tokens[place], totals[place] = row, token, total
                count = min(count + 1, most)
                limit = totals[most - 1] if count == most else -np.inf
    return count


@kernel(inline="always")
def _largest_of_block(scores, offset):
    """Return the largest of `_BLOCK` numbers that are not NaN."""
    largest = maximum(load(scores, offset), -np.inf)
    for place in range(lanes(scores), _BLOCK, lanes(scores)):
        largest = maximum(load(scores, offset + place), largest)
    return np.float64(max_lanes(largest))


@kernel
def part_extensions(going_on, done, ended, counts, full, width):
    """Part the extensions that `best_extensions` found: those that go on, and those that are done.

    At most `width` of a group go on; in a group that is `full` they are done as well. Ended ones are done if they are
    among the first `width`.

    Parameters
    ----------
    going_on, done : int64 array (B * count,)
        Output: the places of the extensions in arrays (B, count), read row by row. Those of a group that have ended
        come first.
    ended : bool array (B, count)
        Whether an extension ends its sequence.
    counts : int64 array (B,)
    full : bool array (B,)
    width : int

    Returns
    -------
    n_going_on, n_done : int
    """
    n_going_on, n_done = 0, 0
    for group in range(len(counts)):
        first = group * ended.shape[1]
        for place in range(min(width, counts[group])):
            if ended[group, place]:
                done[n_done] = first + place
                n_done += 1
        left = width
        for place in range(counts[group]):
            if left > 0 and not ended[group, place]:
                left -= 1
                if full[group]:
                    done[n_done] = first + place
                    n_done += 1
                else:
                    going_on[n_going_on] = first + place
                    n_going_on += 1
    return n_going_on, n_done
