"""Drawing tokens, one after the other, from a recurrent language model.

Few texts are written by one launch, whose blocks share the units of all layers (`fastrnn.cuda.generation_kernel`). For
more texts, a step is a product for the logits, a kernel that draws, and a product and a kernel for each layer: a
captured graph, replayed for each token. In both ways nothing is waited for between tokens.
"""

import numpy as np

from fastrnn.cuda.arrays import add, asarray, empty, fill, to_numpy, zeros
from fastrnn.cuda.blas import gemm
from fastrnn.cuda.drawing import make_drawing, prepare_draw
from fastrnn.cuda.generation_kernel import pays, write_texts
from fastrnn.cuda.gpu import device
from fastrnn.cuda.packing import make_packing
from fastrnn.cuda.stacked_layers import StackedLayers, can_be_stacked
from fastrnn.utils.recurrent import Inputs

_CHECKED = 64  # tokens between two looks whether all texts have ended


def generate(tokens, h, states, layers, output, uniforms, choice, n_jobs=None, precision="highest"):
    """Draw a token for each step of some texts, and feed it back, until all texts have ended.

    See `fastrnn.kernels.generation.generate`; tokens and uniforms are on the host.
    """
    steps, batch = tokens.shape
    if not steps or not batch:
        return
    drawing = make_drawing(batch, len(output.embedding), h.dtype, output, choice)
    drawn, uniforms = empty(tokens.shape, "int32"), asarray(np.asarray(uniforms, np.float64))
    fill(drawn, output.end)
    if can_be_stacked(layers):
        stacked = StackedLayers(layers, h, states, precision)
        if pays(stacked, len(output.embedding)):
            write_texts(drawn, stacked, output, drawing, uniforms)
        else:
            _run(drawn, h, stacked.x, stacked.prepare_step(), output, drawing, uniforms, precision)
        stacked.write_states()
    else:
        x = empty((batch, layers.directions[0].weights.columns), h.dtype)
        _run(drawn, h, x, _separate_step(x, h, states, layers), output, drawing, uniforms, precision, captured=False)
    tokens[...] = to_numpy(drawn)


def _run(tokens, h, x, step, output, drawing, uniforms, precision, captured=True):
    """Draw tokens, and run the layers on their vectors.

    Parameters
    ----------
    tokens : array (T, n) of int32
        Output; end tokens before.
    h : array (n, H)
        Output of the last layer.
    x : array (n, ≥ D)
        Takes the vectors of tokens.
    step : callable
        Runs all layers from `x` to `h`.
    captured : bool
        Whether `step` can be captured.
    """
    (steps, batch), (weight, bias) = tokens.shape, output.logit_map
    numbers = zeros(batch, "int32")  # of tokens drawn
    draw = prepare_draw(tokens, numbers, x, drawing, bias, output.embedding, uniforms)

    def run():
        gemm(drawing.logits, h, weight, transpose_b=True, precision=precision)
        draw()
        step()

    run()  # which compiles
    if captured and steps > 2:
        run = device().graph(run)
    for t in range(1, steps):
        if t % _CHECKED == 0 and (to_numpy(tokens.part(t - 1, t)) == output.end).all():
            break
        run()


def _separate_step(x, h, states, layers):
    """Return a function that runs all layers for a step, each by its direction."""
    packing, outputs = make_packing(1, len(h)), [empty(h.shape, h.dtype) for _ in layers.directions]

    def step():
        rows = x
        for k, (direction, held, y) in enumerate(zip(layers.directions, layers.held, outputs, strict=True)):
            direction.forward(y, states, Inputs(rows), states, packing, layers.regularizers, padded=True, held=held)
            rows = add(y, rows) if layers.residual and k > 0 else y
        device().copy(h, rows)

    return step
