"""The recurrent layers that torch has, with its names and layouts."""

from fastrnn.layers.recurrent import Recurrent
from fastrnn.utils.checks import check_choice


class RNN(Recurrent):
    """Vanilla recurrent network (Elman 1990), with torch's names and layouts.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        As in `Recurrent`.
    nonlinearity : {"tanh", "relu"}, default="tanh"
    bias, batch_first, dropout, bidirectional, **options
        As in `Recurrent`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import RNN
    >>> y, h = RNN(3, 5, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False,
                 dropout=0.0, bidirectional=False, **options):  # fmt: skip
        check_choice("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__("rnn" if nonlinearity == "tanh" else "rnn_relu", input_size, hidden_size, num_layers, bias,
                         batch_first, dropout, bidirectional, **options)  # fmt: skip


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014), with torch's names, layouts and gate order r, z, n.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options
        As in `Recurrent`.
    reset_after : bool, default=True
        Whether the reset gate is applied after the recurrent product, as in torch and cuDNN, or before it, as in the
        paper and in Keras' default.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import GRU
    >>> layer = GRU(3, 5, num_layers=2, random_state=0)
    >>> y, h = layer.forward(np.ones((7, 2, 3)), lengths=[7, 4])
    >>> y.shape, h.shape, layer.state_dict()["weight_ih_l0"].shape
    ((7, 2, 5), (2, 2, 5), (15, 3))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, *, reset_after=True, **options):  # fmt: skip
        super().__init__("gru" if reset_after else "gru_reset_before", input_size, hidden_size, num_layers, bias,
                         batch_first, dropout, bidirectional, **options)  # fmt: skip


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), with torch's names, layouts and gate order i, f, g, o.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, **options
        As in `Recurrent`.
    peephole : bool or "before", default=False
        Whether the gates see the cell state (Gers & Schmidhuber 2000): i and f that of the step before, o the new one;
        with "before" all three that of the step before.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import LSTM
    >>> y, (h, c) = LSTM(3, 5, bidirectional=True, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((7, 2, 10), (2, 2, 5), (2, 2, 5))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, proj_size=0, *, peephole=False, **options):  # fmt: skip
        cells = {False: "lstm", True: "lstm_peephole", "before": "lstm_peephole_before"}
        check_choice("peephole", peephole, cells)
        super().__init__(cells[peephole], input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, proj_size, **options)  # fmt: skip
