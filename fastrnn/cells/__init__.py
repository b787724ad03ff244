"""Recurrent cells: the equations of one hidden unit, each written once.

A cell is a class with two static functions, ``forward(z, state)`` and ``backward(saved, state, new_state,
d_new_state)``, in plain arithmetic: they run on SIMD vectors in the CPU kernels, on scalars in a CUDA thread, and on
NumPy arrays. Beside them stand

- ``states``: the names of what is carried from step to step, the output first;
- ``gates``: the gates in torch's order, as the rows of ``weight_ih`` and ``weight_hh`` have them;
- ``slots``: the pre-activations of a unit, in the order in which `forward` takes them. What comes from the input alone
  stands first, what comes from the recurrent product alone last;
- ``input_slots`` and ``recurrent_slots``: the slot to which each gate of ``weight_ih`` and ``weight_hh`` contributes.

`forward` returns the new states and one value to keep for each slot; `backward` returns the gradient of each slot, and
of each state before as far as it does not come through the recurrent product.
"""

from fastrnn.cells.gru import GRU
from fastrnn.cells.lstm import LSTM
from fastrnn.cells.rnn import RNNReLU, RNNTanh

CELLS = {
    "rnn": RNNTanh(),
    "rnn_relu": RNNReLU(),
    "gru": GRU(),
    "lstm": LSTM(),
}
