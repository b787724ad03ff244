"""A recurrent network is a scan: a function from a state and an input to the next state, along a sequence.

The vanilla RNN is written in one line here. `scan` compiles it, and it gives what the layer gives; run backwards, it is
the layer's second direction.
"""

import numpy as np

from fastrnn import scan
from fastrnn.layers import RNN

steps, batch, inputs, hidden = 50, 4, 3, 8
layer = RNN(inputs, hidden, bidirectional=True, random_state=0)
x = np.random.default_rng(0).standard_normal((steps, batch, inputs)).astype("float32")


def run_cell(suffix, reverse):
    """Return the states (T, B, H) of the layer's direction with these parameters."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    w_ih, w_hh, b_ih, b_hh = (layer.parameters[name + suffix] for name in names)

    def cell(h, x):  # (B, H), (B, D) -> (B, H)
        return np.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)

    return scan(cell, x, initializer=np.zeros((batch, hidden), "float32"), reverse=reverse)


scanned = np.concatenate([run_cell("", False), run_cell("_reverse", True)], axis=2)  # (T, B, 2 · H)
y, _ = layer.forward(x)
difference = np.abs(scanned - y).max()
print(f"{steps} steps, largest difference between scan and layer: {difference:.1e}")
assert difference < 1e-5
