"""Packed batches and directions of recurrent layers: what `make_packing` and `make_direction` of a backend return."""

import numpy as np

from fastrnn.cells._cell import declared
from fastrnn.utils.recurrent import Inputs
from tests.numpy_backend.attending import Attending
from tests.numpy_backend.opaque import Opaque, opened
from tests.numpy_backend.recurrence import Recurrence
from tests.reference_counters import kept


class Packing:
    """The rows of a padded batch, longest sequence first, step after step; all its numbers are on the host."""

    def __init__(self, steps, batch, lengths=None, batch_first=False):
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
        self.steps, self.batch = steps, batch
        self.order = np.array(sorted(range(batch), key=lambda b: -lengths[b]), int)
        self.lengths = lengths[self.order]
        alive = [(t, place) for t in range(steps) for place in range(batch) if t < self.lengths[place]]
        self.step_numbers = np.array([t for t, _ in alive], np.int32)
        self.places = np.array([place for _, place in alive], np.int32)
        self.sequences = self.order[self.places].astype(np.int32)
        self.offsets = np.searchsorted(self.step_numbers, np.arange(self.lengths.max(initial=0) + 1))
        row = {key: k for k, key in enumerate(alive)}
        turned = [row[self.lengths[place] - 1 - t, place] for t, place in alive]
        self.reverse = np.array(turned, int)
        first = self.sequences * steps + self.step_numbers if batch_first else None
        self.rows = self.step_numbers * batch + self.sequences if first is None else first

    def pack(self, x, n_jobs):
        vectors, ids = opened(x)
        if ids is not None:
            return Inputs(x.vectors, np.asarray(ids).reshape(-1)[self.rows])
        return Inputs(Opaque(vectors.reshape(-1, vectors.shape[-1])[self.rows]))

    def new_rows(self, columns, dtype, padded, n_jobs):
        rows = np.zeros((self.batch * self.steps, columns), dtype)
        if padded:
            rows[self.rows] = np.nan
            return Opaque(rows)
        return Opaque(np.full((len(self.rows), columns), np.nan, dtype))

    def unpack(self, packed, shape, n_jobs):
        packed = opened(packed)
        padded = np.zeros((self.batch * self.steps, packed.shape[1]), packed.dtype)
        padded[self.rows] = packed
        return Opaque(padded.reshape(shape))

    def target(self, padded, reverse):
        """Return where the rows of a direction stand: among the packed rows, or in the padded batch."""
        rows = self.rows if padded else np.arange(len(self.rows))
        return rows[self.reverse] if reverse else rows


class Direction:
    """One direction of one layer."""

    def __init__(
        self, cell, sizes, names, parameters, grads, *, place, column, reverse, n_jobs, threads_cut, context_size=0
    ):
        self.cell, (self.hidden, self.output), self.names = cell, sizes, names
        self.parameters, self.grads, self.place, self.reverse = parameters, grads, place, reverse
        self.columns = slice(column, column + self.output)

    def own(self, arrays):
        """Return this direction's arrays without the end of their names."""
        end = f"_{self.names}"
        dtype = opened(self.grads[f"weight_ih{end}"]).dtype  # somebody may have put other arrays there
        return {
            name[: -len(end)]: np.asarray(opened(array), dtype) for name, array in arrays.items() if name.endswith(end)
        }

    def release(self):
        """Do nothing: passes own their arrays."""

    def held(self):
        return {name: array.copy() for name, array in self.own(self.parameters).items()}

    def masks(self, regularizers, packing, dtype, parameters):
        """Return the masks of h (B, output) and of W_hh, and the shares of new values; None where there is none."""
        if regularizers is None:
            return None, None, None
        r, sizes = regularizers, [self.output, *[self.hidden] * (len(self.cell.states) - 1)]
        if r.number is None:
            return (
                None,
                None,
                [np.full((1, size), 1 - rate, dtype) for rate, size in zip(r.zoneout, sizes, strict=True)],
            )
        of_h = of_w = update = None
        if r.recurrent_dropout:
            steps = np.zeros(packing.batch, int)
            of_h = kept(r.recurrent_dropout, r.seed, r.number, packing.order, steps, self.output).astype(dtype)
            of_h /= dtype.type(1 - r.recurrent_dropout)
        if r.weight_dropout and (self.cell.recurrent_slots or declared(self.cell, "gated_slots")):
            rows, columns = parameters["weight_hh"].shape
            steps = np.zeros(rows, int)
            of_w = kept(r.weight_dropout, r.seed + 1, r.number, np.arange(rows), steps, columns).astype(dtype)
            of_w /= dtype.type(1 - r.weight_dropout)
        if any(r.zoneout):
            where = packing.sequences, packing.step_numbers
            update = [
                kept(rate, r.seed + 2 + k, r.number, *where, size).astype(dtype)
                for k, (rate, size) in enumerate(zip(r.zoneout, sizes, strict=True))
            ]
        return of_h, of_w, update

    def forward(
        self, y, final, x, initial, packing, regularizers, *, padded, training=False, held=None, all_states=None,
        attended=None,
    ):  # fmt: skip
        parameters = self.own(self.parameters) if held is None else held
        vectors, ids = opened(x)
        rows = vectors if ids is None else vectors[ids]
        if self.reverse:
            rows = rows[packing.reverse]
        sizes = [part.shape[2] for part in final]
        start = [np.zeros((packing.batch, size), rows.dtype) for size in sizes]
        if initial is not None:
            start = [opened(part)[self.place][packing.order] for part in initial]
        of_h, of_w, update = self.masks(regularizers, packing, rows.dtype, parameters)
        weight_hh = parameters.get("weight_hh")
        masked = weight_hh if of_w is None else weight_hh * of_w
        run = Recurrence(self.cell, self.hidden, parameters)
        attending = None if attended is None else Attending(attended, packing)
        states, last, steps = run.run(rows, start, packing.offsets, of_h, update, masked, attending)
        opened(y)[packing.target(padded, self.reverse), self.columns] = states[0]
        for part, values in zip(final, last, strict=True):
            opened(part)[self.place, packing.order] = values
        for part, values in zip(all_states or [], states, strict=bool(all_states)):
            whole = np.zeros((packing.batch * packing.steps, values.shape[1]), values.dtype)
            whole[packing.target(True, self.reverse)] = values
            opened(part)[self.place] = whole.reshape(opened(part)[self.place].shape)
        return (run, steps, vectors, ids, of_h, of_w, masked, packing, attending) if training else None

    def backward(self, d_initial, forward, dy, d_final, *, padded, attended=None):
        run, steps, vectors, ids, of_h, of_w, masked, packing, attending = forward
        if attending is not None:
            attending.begin_backward(attended)
        d_rows = opened(dy)[packing.target(padded, self.reverse), self.columns]
        start = [np.zeros((packing.batch, part.shape[2]), d_rows.dtype) for part in d_initial]
        if d_final is not None:
            start = [opened(part)[self.place][packing.order] for part in d_final]
        grads = self.own(self.grads)
        own = {**grads, "weight_hh": np.zeros_like(masked)} if of_w is not None else grads
        dx, before = run.run_backward(steps, d_rows, start, packing.offsets, of_h, masked, own, attending)
        if of_w is not None:
            grads["weight_hh"] += own["weight_hh"] * of_w
        for part, values in zip(d_initial, before, strict=True):
            opened(part)[self.place, packing.order] = values
        if self.reverse:
            dx = dx[packing.reverse]
        if ids is None:
            return Opaque(dx)
        d_vectors = np.zeros_like(vectors)
        np.add.at(d_vectors, ids, dx)
        return Opaque(d_vectors)


make_packing, make_direction = Packing, Direction


def generate(tokens, h, states, layers, output, uniforms, choice, n_jobs=None):
    """Draw tokens row by row, and run all layers for a step after each."""
    (weight, bias), vectors, last = opened(output.logit_map), opened(output.embedding), opened(h).copy()
    packing = Packing(1, len(last))
    for t in range(len(tokens)):
        logits = (last @ weight.T + bias).astype(float)
        logits[:, list(output.never)] = -np.inf
        p = np.exp((logits - logits.max(axis=1, keepdims=True)) / choice.temperature)
        for row in range(len(last)):
            ended = t > 0 and tokens[t - 1, row] == output.end
            tokens[t, row] = output.end if ended else draw(p[row], choice, uniforms[t, row])
        if (tokens[t] == output.end).all():
            tokens[t:] = output.end
            break
        x = vectors[tokens[t]]
        for k, (direction, held) in enumerate(zip(layers.directions, layers.held, strict=True)):
            y = np.zeros((len(x), direction.output), x.dtype)
            direction.forward(
                Opaque(y), states, Inputs(Opaque(x)), states, packing, layers.regularizers, padded=True, held=held
            )
            x = y + x if layers.residual and k > 0 else y
        last = x
    opened(h)[...] = last


def draw(p, choice, uniform):
    """Return a token drawn in proportion to p (V,), among the most probable ones."""
    order = np.argsort(-p, kind="stable")[: choice.top_k]
    mass = np.cumsum(p[order])
    if choice.top_p < 1:
        order = order[: np.searchsorted(mass, choice.top_p * mass[-1]) + 1]
    order = np.sort(order)
    return order[min(np.searchsorted(np.cumsum(p[order]), uniform * p[order].sum(), side="right"), len(order) - 1)]
