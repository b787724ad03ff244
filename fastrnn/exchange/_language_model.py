"""The methods of recurrent language models that exchange weights with other libraries."""

import json

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.exchange._keras import keras_parts, to_keras
from fastrnn.exchange._onnx import Graph, add_recurrent, check_layer, state_inputs, state_outputs
from fastrnn.exchange._torch import check_torch, find_parts, place_tokens, recurrent_params
from fastrnn.utils.use import GuardedMixin


class ExchangeMixin(GuardedMixin):
    """Weights to and from torch and Keras, and the network as an ONNX file."""

    def to_torch(self, embedding="embedding", recurrent="recurrent", output="output"):
        """Return the weights as the state dict of a torch module.

        Parameters
        ----------
        embedding, recurrent, output : str
            The attributes of the module that are its ``torch.nn.Embedding``, ``torch.nn.LSTM`` (or GRU or RNN) and
            ``torch.nn.Linear``.

        Returns
        -------
        dict of str to ndarray
            Copies of the weights, for ``load_state_dict`` after ``torch.from_numpy``. Rows are in the order of
            ``vocabulary_.tokens``. The output's weight is the product of both where there is a projection before it.

        Raises
        ------
        ValueError
            torch has no such module: another cell, residual connections, zoneout, an adaptive softmax.
        """
        check_is_fitted(self)
        check_torch(self.network_.recurrent)
        weight, bias = self._logit_map("torch")
        return {
            **{f"{embedding}.{key}": array for key, array in self.network_.embedding.state_dict().items()},
            **{f"{recurrent}.{key}": array for key, array in self.network_.recurrent.state_dict().items()},
            f"{output}.weight": weight.copy(),
            f"{output}.bias": bias.copy(),
        }

    @classmethod
    def from_torch(
        cls, state_dict, tokens, *, special_tokens=None, embedding=None, recurrent=None, output=None, cell=None,
        **params,
    ):  # fmt: skip
        """Make a model of the weights of a torch module: an embedding, an LSTM, GRU or RNN, and a linear layer.

        Parameters
        ----------
        state_dict : module, or mapping of str to (tensor or array-like)
            The module, or its ``state_dict()``. Tensors may be of any floating-point type.
        tokens : sequence of (str or int), or mapping of str to int
            The token of each row of the embedding and of the output, or the row of each token. Ids are taken as
            strings: texts are then lists of ``"17"`` and the like.
        special_tokens : dict of str to str or None
            Names of ``</s>``, ``<unk>``, ``<s>`` and ``<pad>`` in `tokens`, if they differ: ``{"</s>": "<eos>"}`` for
            instance. There must be one for ``</s>``; the others have no probability if they are missing.
        embedding, recurrent, output : str or None
            The attributes of the module that are these layers; None finds them.
        cell : str or None
            "rnn_relu" where ``torch.nn.RNN`` has a rectifier, which a state dict does not record; None infers it from
            the module, or from the number of gates.
        **params
            Further parameters of the model: `tokenizer` for instance, and ``carry_state=False`` where sentences begin
            with ``<s>`` rather than with the ``</s>`` of the one before.

        Returns
        -------
        RNNLanguageModel
            A fitted model.

        Raises
        ------
        ValueError
            The weights are not those of such a module.
        """
        names = {"embedding": embedding, "recurrent": recurrent, "output": output}
        parts, cell = find_parts(state_dict, names, cell)
        return cls._from_parts(parts, cell, tokens, special_tokens, params)

    def to_keras(self):
        """Return the weights as a list for ``set_weights`` of a Keras model.

        Returns
        -------
        list of ndarray
            Of an Embedding, of each SimpleRNN, GRU or LSTM (see `fastrnn.exchange.to_keras`), and of a Dense layer.

        Raises
        ------
        ValueError
            Keras has no such model.
        """
        check_is_fitted(self)
        recurrent = to_keras(self.network_.recurrent)
        weight, bias = self._logit_map("Keras")
        return [self.network_.embedding.state_dict()["weight"], *recurrent, weight.T.copy(), bias.copy()]

    @classmethod
    def from_keras(cls, weights, tokens, *, special_tokens=None, cell=None, **params):
        """Make a model of the weights of a Keras model: Embedding, one or more SimpleRNN, GRU or LSTM, Dense.

        Parameters
        ----------
        weights : list of array-like, or Keras model
            The result of ``get_weights()``.
        tokens, special_tokens, **params
            As in `from_torch`.
        cell : str or None
            "rnn_relu" where SimpleRNN has a rectifier; None infers it from the number of gates and the bias's shape.

        Returns
        -------
        RNNLanguageModel
            A fitted model.

        Raises
        ------
        ValueError
            The weights are not those of such a model.
        """
        parts, found = keras_parts(weights)
        return cls._from_parts(parts, cell or found, tokens, special_tokens, params)

    def to_onnx(self, path):
        """Write the network to an ONNX file (needs the package onnx).

        The inputs of its graph are ``tokens`` (T, B) of int64, ids in the order of ``vocabulary_.tokens``, ``lengths``
        (B,) of int32, and the states before, ``h0`` and for an LSTM ``c0`` (layers, B, H); its outputs ``log_probs``
        (T, B, V), the logarithm of the probability of every next token, and the states ``hn`` and ``cn``. A text begins
        with the id of ``</s>`` (of ``<s>`` with ``carry_state=False``) and states of zeros. The metadata has the tokens
        of the vocabulary as JSON, ``vocabulary``.

        Parameters
        ----------
        path : str or os.PathLike
            The file, which is replaced whole or not at all.

        Raises
        ------
        ValueError
            ONNX has no such network.
        ImportError
            The package onnx is not installed.
        """
        check_is_fitted(self)
        check_layer(self.network_.recurrent)
        network, graph = self.network_, Graph()
        tokens, lengths = graph.input("tokens", np.int64, ("T", "B")), graph.input("lengths", np.int32, ("B",))
        vectors = graph.add("Gather", graph.constant(network.get_arrays()["embedding.weight"]), tokens, axis=0)
        states = state_inputs(graph, network.recurrent)
        h, finals = add_recurrent(graph, network.recurrent, vectors, lengths, states)
        log_probs = _log_probs(graph, network.output, h)
        graph.output(log_probs, "log_probs", np.float32, ("T", "B", len(self.vocabulary_)))
        state_outputs(graph, network.recurrent, finals)
        graph.write(path, {"vocabulary": json.dumps(self.vocabulary_.tokens)})

    def _logit_map(self, library):
        """Return the matrix (V, H) and the vector (V,) that make logits."""
        if not hasattr(self.network_.output, "logit_map"):
            raise ValueError(f"softmax must be 'full' or 'sampled' for {library}, got {self.softmax!r}.")
        return _logit_map(self.network_.output)

    @classmethod
    def _from_parts(cls, parts, cell, tokens, special_tokens, params):
        """Return a fitted model of arrays under our names."""
        vocabulary, parts = place_tokens(parts, tokens, special_tokens)
        embedding = parts["embedding.weight"]
        sizes = {
            **recurrent_params(parts),
            "embedding_size": embedding.shape[1],
            "tie_weights": np.array_equal(embedding, parts["output.weight"]),
        }
        content = {"loss_curve": [], "validation_scores": [], "tokens": vocabulary.tokens, "vocabulary_given": False}
        return cls._unpack({"cell": cell, **params, **sizes}, content, parts)


def _logit_map(output):
    """Return the matrix (V, H) and the vector (V,) that make logits, on the host."""
    return tuple(map(output.backend.to_numpy, output.logit_map()))


def _log_probs(graph, output, h):
    """Add a softmax of any kind; return the name of the log probabilities (T, B, V)."""

    def log_softmax(x, weight, bias):
        return graph.add("LogSoftmax", graph.dense(x, weight, bias), axis=-1)

    if hasattr(output, "logit_map"):
        return log_softmax(h, *_logit_map(output))
    parameters, n_clusters = output.state_dict(), len(output.cutoffs) - 1  # an adaptive one
    sizes = graph.constant(np.array([output.cutoffs[0], *[1] * n_clusters]))
    head = log_softmax(h, parameters["head.weight"], parameters["head.bias"])
    frequent, *shares = graph.add("Split", head, sizes, outputs=1 + n_clusters, axis=2)
    parts = [frequent]
    for k, share in enumerate(shares):
        projected = graph.dense(h, parameters[f"tail{k}.projection"])
        inside = log_softmax(projected, parameters[f"tail{k}.weight"], parameters[f"tail{k}.bias"])
        parts.append(graph.add("Add", inside, share))
    ranks = graph.constant(np.argsort(output.order))
    return graph.add("Gather", graph.add("Concat", *parts, axis=2), ranks, axis=2)
