"""Recurrent cells: the equations of one hidden unit, each written once.

A cell is a class with two static functions, ``forward(z, state)`` and ``backward(saved, state, d_new_state)``, in plain
arithmetic: they run on SIMD vectors in the CPU kernels, on scalars in a CUDA thread, and on NumPy arrays. Beside them
stand

- ``states``: the names of what is carried from step to step, the output first;
- ``gates``: the gates in torch's order, as the rows of ``weight_ih`` and ``weight_hh`` have them;
- ``slots``: the pre-activations of a unit, in the order in which `forward` takes them;
- ``input_slots`` and ``recurrent_slots``: the slot to which each gate of ``weight_ih`` and ``weight_hh`` contributes, a
  block of neighbours each. What comes from the input alone stands before what comes from both.

`forward` returns the new states and one value to keep for each slot; `backward` returns the gradient of each slot, and
of each state before as far as it does not come through the recurrent product. Some cells have more:

- ``parameters``: names of parameters of each unit and how many vectors they are: ``forward(z, state, units)`` and
  ``backward(saved, state, units, d_new_state)`` take them, and backward returns their gradients too;
- ``late_slots``: slots whose recurrent product is not taken of h but of what ``early(z, state)`` returns, beside the
  slots; ``early_backward(dz, state, d_operand)`` goes back through it. Their gates are the last ones;
- ``normalized``: the input's and the recurrent pre-activations (slots apart) are standardized over each row, and
  ``standardized_state``: that state is standardized before ``output(z, standardized, units)`` makes h of it;
- ``initializers``: how parameters start that do not start as torch's.
"""

from fastrnn.cells.gru import GRU, GRUResetBefore, GRUSimple
from fastrnn.cells.layer_norm import LayerNormGRU, LayerNormLSTM
from fastrnn.cells.lstm import LSTM, CoupledLSTM
from fastrnn.cells.mgu import MGU
from fastrnn.cells.peephole_lstm import PeepholeBeforeLSTM, PeepholeLSTM
from fastrnn.cells.rnn import IRNN, IndRNN, RNNReLU, RNNTanh

CELLS = {
    "rnn": RNNTanh(),
    "rnn_relu": RNNReLU(),
    "irnn": IRNN(),
    "indrnn": IndRNN(),
    "gru": GRU(),
    "gru_reset_before": GRUResetBefore(),
    "gru_simple": GRUSimple(),
    "mgu": MGU(),
    "lstm": LSTM(),
    "lstm_peephole": PeepholeLSTM(),
    "lstm_peephole_before": PeepholeBeforeLSTM(),
    "lstm_coupled": CoupledLSTM(),
    "lstm_layer_norm": LayerNormLSTM(),
    "gru_layer_norm": LayerNormGRU(),
}
