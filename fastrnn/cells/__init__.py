"""Recurrent cells: the equations of one hidden unit, each written once.

A cell is a class with two static functions, ``forward(z, state)`` and ``backward(saved, state, d_new_state)``, in plain
arithmetic. They run on SIMD vectors in the CPU kernels, on scalars in a CUDA thread, and on NumPy arrays. Every cell
declares

- ``states``: the names of the states that a step hands to the next one, the output first;
- ``gates``: the gates in torch's order, as in the rows of ``weight_ih`` and ``weight_hh``;
- ``slots``: the pre-activations of a unit, in the order in which `forward` takes them;
- ``input_slots`` and ``recurrent_slots``: the slot to which each gate of ``weight_ih`` and ``weight_hh`` contributes.
  Each is a block of neighbours. Slots of the input alone come before slots of both.

`forward` returns the new states and one value to keep for each slot. `backward` returns the gradient of each slot, and
the gradient of each state before the step, without its part through the recurrent product. Some cells declare more:

- ``parameters``: name and number of vectors of each parameter of the units. ``forward(z, state, units)`` and
  ``backward(saved, state, units, d_new_state)`` take them, and `backward` returns their gradients too.
- ``gated_slots``: slots that receive the recurrent product of a gated state and not of h. Their gates are the last
  ones. ``gate_state(z, state)`` applies the gates and returns the slots and the gated state;
  ``gate_state_backward(dz, state, d_gated)`` propagates its gradient back.
- ``normalized``: whether the input's and the recurrent pre-activations, in slots of their own, are standardized over
  each row.
- ``standardized_state``: number of the state that is standardized before ``output(z, standardized, units)`` computes h
  from it.
- ``initializers``: names of initializers for parameters that do not start as torch's.

Further declarations are reserved for stages that are planned, see `fastrnn.kernels.stages`.
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
