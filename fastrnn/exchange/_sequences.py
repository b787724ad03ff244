"""The methods of recurrent classifiers and regressors that exchange weights with torch and Keras."""

import copy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.exchange._keras import keras_parts, to_keras
from fastrnn.exchange._torch import check_torch, find_parts, place_tokens, recurrent_params
from fastrnn.utils.checks import shown
from fastrnn.utils.use import GuardedMixin


class SequenceExchangeMixin(GuardedMixin):
    """Weights to torch and Keras."""

    def to_torch(self, embedding="embedding", recurrent="recurrent", output="output"):
        """Return the weights as the state dict of a torch module.

        Parameters
        ----------
        embedding, recurrent, output : str
            Attributes of the module: its ``torch.nn.Embedding`` (for texts), ``torch.nn.LSTM`` (or GRU or RNN) and
            ``torch.nn.Linear``.

        Returns
        -------
        dict of str to ndarray
            Copies of the weights, for ``load_state_dict`` after ``torch.from_numpy``. Rows of the embedding are in the
            order of ``vocabulary_.tokens``, rows of a classifier's output in that of ``classes_``. The weights include
            the standardization of series and of a regressor's numbers: the module reads and returns them as they are.

        Raises
        ------
        ValueError
            torch has no such module: another cell, residual connections, zoneout, attention.
        """
        check_is_fitted(self, "network_")
        check_torch(self.network_.layers["recurrent"])
        names = {"embedding": embedding, "recurrent": recurrent, "output": output}
        return {f"{names[part]}.{key}": array for part, arrays in self._plain_weights("torch").items()
                for key, array in arrays.items()}  # fmt: skip

    def to_keras(self):
        """Return the weights as a list for ``set_weights`` of a Keras model.

        Returns
        -------
        list of ndarray
            The weights of an Embedding (for texts), each SimpleRNN, GRU or LSTM, or Bidirectional of it (see
            `fastrnn.exchange.to_keras`), and a Dense layer. They include the standardization as from `to_torch`.

        Raises
        ------
        ValueError
            Keras has no such model.
        """
        check_is_fitted(self, "network_")
        layer = copy.deepcopy(self.network_.layers["recurrent"])
        to_keras(layer)  # refuses layers that Keras does not have
        weights = self._plain_weights("Keras")
        layer.load_state_dict(weights["recurrent"])
        embedding = [weights["embedding"]["weight"]] if "embedding" in weights else []
        return [*embedding, *to_keras(layer), weights["output"]["weight"].T.copy(), weights["output"]["bias"]]

    def _plain_weights(self, library):
        """Return copies of the weights of each layer, which include the standardization of series and numbers."""
        if self.network_.layers["pooling"].pooling == "attention":
            raise ValueError(f"pooling must not be 'attention' for {library}, which has no such layer.")
        parts = ("embedding", "recurrent", "output")
        weights = {part: layer.state_dict() for part, layer in self.network_.layers.items() if part in parts}
        if "embedding" not in weights:
            _standardize(weights["recurrent"], self.learned.reader)
        if self.learned.target.kind == "values":
            scale, output = self.learned.target.scale, weights["output"]
            output["weight"] = (output["weight"] * scale[:, None]).astype(np.float32)
            output["bias"] = (output["bias"] * scale + self.learned.target.mean).astype(np.float32)
        return weights

    @classmethod
    def _from_parts(cls, parts, cell, target, tokens, special_tokens, params):
        """Return a fitted estimator from arrays under our names, and the target as a file keeps it."""
        if params.get("pooling") == "attention":
            raise ValueError(
                "pooling must be 'last', 'mean' or 'max', got 'attention', which is no part of the weights."
            )
        sizes = {**recurrent_params(parts), "bidirectional": "recurrent.weight_ih_l0_reverse" in parts}
        content = {"class_weight": None, "reader": {}, "target": target, "loss_curve": [], "validation_scores": []}
        if "embedding.weight" not in parts:
            if tokens is not None:
                raise ValueError("tokens must be None for a module without an embedding, which reads series.")
            size = parts["recurrent.weight_ih_l0"].shape[1]
            parts |= {"input.mean": np.zeros(size), "input.scale": np.ones(size)}
            sizes["input"] = "series"
        else:
            if tokens is None:
                tokens, sizes["input"] = range(len(parts["embedding.weight"])), "tokens"
            vocabulary, parts = place_tokens(parts, tokens, special_tokens, whole_sequences=True)
            content["reader"] = {"tokens": vocabulary.tokens}
            sizes["embedding_size"] = parts["embedding.weight"].shape[1]
        return cls._unpack({"cell": cell, **params, **sizes}, content, parts)


class ClassifierExchangeMixin(SequenceExchangeMixin):
    """Weights to and from torch and Keras."""

    @classmethod
    def from_torch(
        cls, state_dict, classes, tokens=None, *, special_tokens=None, embedding=None, recurrent=None, output=None,
        cell=None, **params,
    ):  # fmt: skip
        """Make a classifier of a torch module's weights: embedding (for texts), LSTM, GRU or RNN, linear layer.

        Parameters
        ----------
        state_dict : module, or mapping of str to (tensor or array-like)
            The module, or its ``state_dict()``. Tensors may be of any floating-point type.
        classes : sequence or None
            The class of each output. For a single output, whose sigmoid is a probability: both classes, the second one
            being that of the probability. None for several labels at once, a sigmoid each.
        tokens : sequence of (str or int), mapping of str to int, or None
            The token of each row of the embedding, or the row of each token. None: X is lists of row numbers.
        special_tokens : dict of str to str or None
            Names of ``<unk>`` and ``<pad>`` in `tokens`, if they differ. Missing ones get vectors of zeros.
        embedding, recurrent, output : str or None
            Attributes of the module; None finds them. A module without an embedding reads series.
        cell : str or None
            "rnn_relu" if ``torch.nn.RNN`` has a rectifier, which a state dict does not record; None infers it from the
            module, or from the number of gates.
        **params
            Further parameters of the classifier: `pooling` above all, and for texts `tokenizer` and `lowercase`.

        Returns
        -------
        RNNClassifier
            A fitted classifier, which does not standardize series.

        Raises
        ------
        ValueError
            The weights are not those of such a module.
        """
        names = {"embedding": embedding, "recurrent": recurrent, "output": output}
        parts, cell = find_parts(state_dict, names, cell, whole_sequences=True)
        return cls._from_parts(parts, cell, _sort_classes(parts, classes), tokens, special_tokens, params)

    @classmethod
    def from_keras(cls, weights, classes, tokens=None, *, special_tokens=None, cell=None, **params):
        """Make a classifier of the weights of a Keras model, as `from_torch` does of a module's.

        Parameters
        ----------
        weights : list of array-like, or Keras model
            The model, or its ``get_weights()``: of an Embedding (for texts), one or more SimpleRNN, GRU or LSTM, or
            Bidirectional of them, and a Dense layer.
        classes, tokens, special_tokens, **params
            As in `from_torch`.
        cell : str or None
            "rnn_relu" if SimpleRNN has a rectifier; None infers it from the number of gates and the shape of the bias.

        Returns
        -------
        RNNClassifier
        """
        parts, found = keras_parts(weights, whole_sequences=True)
        return cls._from_parts(parts, cell or found, _sort_classes(parts, classes), tokens, special_tokens, params)


class RegressorExchangeMixin(SequenceExchangeMixin):
    """Weights to and from torch and Keras."""

    @classmethod
    def from_torch(
        cls, state_dict, tokens=None, *, special_tokens=None, embedding=None, recurrent=None, output=None, cell=None,
        **params,
    ):  # fmt: skip
        """Make a regressor of a torch module's weights: embedding (for texts), LSTM, GRU or RNN, linear layer.

        Parameters
        ----------
        state_dict, tokens, special_tokens, embedding, recurrent, output, cell, **params
            As in `RNNClassifier.from_torch`.

        Returns
        -------
        RNNRegressor
            A fitted regressor, which standardizes nothing.
        """
        names = {"embedding": embedding, "recurrent": recurrent, "output": output}
        parts, cell = find_parts(state_dict, names, cell, whole_sequences=True)
        return cls._from_parts(parts, cell, _plain_numbers(parts), tokens, special_tokens, params)

    @classmethod
    def from_keras(cls, weights, tokens=None, *, special_tokens=None, cell=None, **params):
        """Make a regressor of the weights of a Keras model, as `from_torch` does of a module's.

        Parameters
        ----------
        weights, tokens, special_tokens, cell, **params
            As in `RNNClassifier.from_keras`.

        Returns
        -------
        RNNRegressor
        """
        parts, found = keras_parts(weights, whole_sequences=True)
        return cls._from_parts(parts, cell or found, _plain_numbers(parts), tokens, special_tokens, params)


def _standardize(weights, reader):
    """Change the weights of the first layer so that it reads series that are not standardized."""
    for end in ("", "_reverse"):
        if f"weight_ih_l0{end}" in weights:
            weight = weights[f"weight_ih_l0{end}"] / reader.scale
            weights[f"bias_ih_l0{end}"] -= (weight @ reader.mean).astype(np.float32)
            weights[f"weight_ih_l0{end}"] = weight.astype(np.float32)


def _plain_numbers(parts):
    """Return the target of numbers without standardization as a file keeps it; add mean and scale to `parts`."""
    size = len(parts["output.bias"])
    parts.update({"target.mean": np.zeros(size), "target.scale": np.ones(size)})
    return {"kind": "values", "n_dims": 1 if size == 1 else 2}


def _sort_classes(parts, classes):
    """Return the target of classes as a file keeps it; sort the outputs in `parts`, and make two of a single one."""
    if classes is None:
        return {"kind": "labels", "n_outputs": len(parts["output.bias"])}
    classes = np.asarray(classes)
    outputs = {name: parts[name] for name in ("output.weight", "output.bias")}
    if len(parts["output.bias"]) == 1:  # the sigmoid of a logit is the softmax of 0 and the logit
        outputs = {name: np.concatenate([0 * array, array]) for name, array in outputs.items()}
    size = len(outputs["output.bias"])
    if classes.shape != (size,) or len(np.unique(classes)) != size:
        raise ValueError(f"classes must be {size} different ones, got {shown(classes.tolist())}.")
    order = np.argsort(classes)
    parts.update({name: array[order] for name, array in outputs.items()})
    return {"kind": "classes", "classes": {"dtype": classes.dtype.str, "values": classes[order].tolist()}}
