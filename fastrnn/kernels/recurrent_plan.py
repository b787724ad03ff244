"""The plan of a pass of one direction: threads, buffers and chunks, which depend on shapes alone."""

from typing import NamedTuple

import numpy as np

from fastrnn.kernels import recurrence
from fastrnn.kernels.threads import split, worth

_CHUNK_BYTES = 1 << 18  # of pre-activations in a chunk of steps, which stays in a core's second-level cache
_BACKWARD_BYTES = 6 << 20  # of gradients of pre-activations in a chunk, which stays in the third-level cache
# Threads cut the hidden units if this keeps more of them busy. A thread is busy with this many sequences, or with this
# many bytes of the recurrent weight: its part of a step then takes longer than the barrier after it.
_FEW_SEQUENCES = 4
_LEAST_BYTES = 1 << 17


class Plan(NamedTuple):
    """The plan of a pass. It never changes, so that passes of several threads may share it."""

    parts: list  # of recurrence.Part, one a thread
    schedule: recurrence.Schedule
    memory: object  # `MemoryKey` of the arrays that forward writes
    final_rows: object  # rows of the final states in the memory's states: a slice or an array
    backward_chunks: list  # see `_backward_chunks`
    compiled: dict  # the compiled entry point of each kernel, for the types of the arguments in such passes


class MemoryKey(NamedTuple):
    """The sizes of the arrays that forward writes, and which of them there are."""

    states: int
    rows: int
    gate_rows: int
    padded: int
    width: int
    masked: bool
    gated: bool
    projected: bool
    standardized: bool
    normalized: bool


def make_plan(weights, packing, columns, keep, drawn, held, cut, n_jobs, compiled):
    """Plan a pass.

    Parameters
    ----------
    weights : DirectionWeights
    packing : Packing
    columns : int or None
        Columns of the input, D; None for ids.
    keep : bool
        Whether to keep all rows, for a backward pass or for the states of all steps.
    drawn : Drawn
    held : bool
        Whether the weights are packed already.
    cut : {"auto", "batch", "units"}
    n_jobs : int or None
    compiled : dict
        See `Plan`.

    Returns
    -------
    Plan
    """
    rows, steps, batch = int(packing.offsets[-1]), len(packing.offsets) - 1, packing.batch
    parts = _thread_parts(weights, packing, columns or 0, held, cut, n_jobs)
    largest = max(part.last - part.first for part in parts)
    row_bytes = weights.width * weights.dtype.itemsize
    chunk = max(1, min(steps, _CHUNK_BYTES // (max(1, largest) * row_bytes)))
    gate_rows, state_rows = packing.schedule(None if keep else chunk)
    if packing.is_full:
        final_rows = slice(int(state_rows[-1]), int(state_rows[-1]) + batch)
    else:
        final_rows = state_rows[packing.lengths] + np.arange(batch)
    sizes = (batch + rows, rows) if keep else (2 * batch, chunk * batch)
    return Plan(
        parts=parts,
        schedule=recurrence.Schedule(packing.offsets, gate_rows, state_rows, weights.layout, chunk, keep),
        memory=memory_key(weights, *sizes, drawn),
        final_rows=final_rows,
        backward_chunks=_backward_chunks(packing.offsets, row_bytes) if keep else [],
        compiled=compiled,
    )


def step_schedules(weights, batch):
    """Return the schedules of two single steps: from the first half of the states to the second, and back."""
    offsets, none = np.array([0, batch]), np.zeros(1, np.intp)
    return tuple(
        recurrence.Schedule(offsets, none, np.array(rows), weights.layout, 1, False)
        for rows in ([0, batch], [batch, 0])
    )


def memory_key(weights, rows, gate_rows, drawn):
    """Return the sizes of the arrays that a forward pass writes, for these numbers of rows in states and gates."""
    return MemoryKey(
        states=len(weights.cell.states),
        rows=rows,
        gate_rows=gate_rows,
        padded=weights.padded,
        width=weights.width,
        masked=drawn.masks.recurrent is not None,
        gated=bool(weights.gated_slots),
        projected=weights.has_projection,
        standardized=weights.standardizes,
        normalized=bool(weights.normalized),
    )


def new_memory(room, key):
    """Return the arrays that a forward pass writes, in its room; for `Room.made`."""
    states = room.take("states", key.states, key.rows, key.padded)
    return recurrence.Memory(
        gates=room.take("gates", key.gate_rows, key.width),
        states=states,
        masked=room.take("masked h", 1, key.rows, key.padded) if key.masked else None,
        gated=room.take("gated state", key.gate_rows, key.padded) if key.gated else None,
        raw=room.take("raw", key.gate_rows, key.padded) if key.projected else None,
        standardized=room.take("standardized", key.gate_rows, key.padded) if key.standardized else None,
        scales=room.take("scales", key.gate_rows, 3) if key.normalized else None,
        attention=None,
    )


def _thread_parts(weights, packing, columns, held, cut, n_jobs):
    """Return the part of each thread."""
    rows, padded = int(packing.offsets[-1]), weights.padded
    products = columns + weights.context_size + weights.output
    threads = worth(n_jobs, 2 * rows * len(weights.cell.gates) * padded * products)
    cutting_units = 1 if held else _threads_for_units(weights, packing.batch, cut, threads)
    if cutting_units > 1:
        return [recurrence.Part(0, packing.batch, *units) for units in split(padded, cutting_units, weights.lanes)]
    return [recurrence.Part(*sequences, 0, padded) for sequences in packing.shards(threads)]


def _threads_for_units(weights, batch, cut, threads):
    """Return the number of threads that cut the hidden units; 1 if the threads cut the batch instead."""
    stages = weights.gated_slots, weights.normalized, weights.standardizes, weights.has_projection, weights.context_size
    if any(stages):
        return 1  # a stage between the product and the cell needs all units of a row
    most = min(threads, weights.padded // weights.lanes)
    if cut != "auto":
        return most if cut == "units" else 1
    weight_bytes = weights.layout.recurrent.count * weights.padded * weights.dtype.itemsize
    units = min(most, weight_bytes // _LEAST_BYTES)
    sequences = min(threads, max(1, batch // _FEW_SEQUENCES))  # number of threads that the batch keeps busy
    return units if units > sequences else 1


def _backward_chunks(offsets, row_bytes):
    """Return the chunks of steps whose weight gradients are one product, the last first: (start, stop, rows)."""
    most, chunks, stop = max(1, _BACKWARD_BYTES // row_bytes), [], len(offsets) - 1
    while stop > 0:
        start = min(stop - 1, int(np.searchsorted(offsets, offsets[stop] - most)))
        chunks.append((start, stop, slice(int(offsets[start]), int(offsets[stop]))))
        stop = start
    return chunks
