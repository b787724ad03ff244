"""The methods of recurrent classifiers that exchange weights with torch."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn._checks import shown
from fastrnn._use import GuardedMixin
from fastrnn.exchange._torch import check_torch, find_parts, place_tokens, recurrent_params


class ClassifierExchangeMixin(GuardedMixin):
    """Weights to and from torch."""

    def to_torch(self, embedding="embedding", recurrent="recurrent", output="output"):
        """Return the weights as the state dict of a torch module.

        Parameters
        ----------
        embedding, recurrent, output : str
            The attributes of the module that are its ``torch.nn.Embedding`` (of texts), ``torch.nn.LSTM`` (or GRU or
            RNN) and ``torch.nn.Linear``.

        Returns
        -------
        dict of str to ndarray
            Copies of the weights, for ``load_state_dict`` after ``torch.from_numpy``. Rows of the embedding are in the
            order of ``vocabulary_.tokens``, those of the output in that of ``classes_``. Those of series have their
            standardization in the first layer: the module reads series as they are.

        Raises
        ------
        ValueError
            torch has no such module: a cell that is not its, residual connections, zoneout, attention.
        """
        check_is_fitted(self, "network_")
        check_torch(self)
        if self.pooling == "attention":
            raise ValueError("pooling must not be 'attention' for torch, which has no such layer.")
        names = {"embedding": embedding, "recurrent": recurrent, "output": output}
        weights = {part: layer.state_dict() for part, layer in self.network_.layers.items() if part in names}
        if self.input == "series":
            _standardize(weights["recurrent"], self._reader)
        return {f"{names[part]}.{key}": array for part, arrays in weights.items() for key, array in arrays.items()}

    @classmethod
    def from_torch(
        cls, state_dict, classes, tokens=None, *, special_tokens=None, embedding=None, recurrent=None, output=None,
        cell=None, **params,
    ):  # fmt: skip
        """Make a classifier of a torch module's weights: an embedding (of texts), an LSTM, GRU or RNN, a linear layer.

        Parameters
        ----------
        state_dict : module, or mapping of str to (tensor or array-like)
            The module, or its ``state_dict()``. Tensors may be of any floating-point type.
        classes : sequence or None
            The class of each output; of a single output, whose sigmoid is a probability, the two classes, the one that
            it is the probability of last. None is for several labels at once, a sigmoid each.
        tokens : sequence of (str or int), mapping of str to int, or None
            The token of each row of the embedding, or the row of each token. None takes the numbers of the rows: X is
            lists of these ids.
        special_tokens : dict of str to str or None
            What ``<unk>`` and ``<pad>`` are called in `tokens` where they are not called so; vectors of zeros stand in
            for those that are missing.
        embedding, recurrent, output : str or None
            The attributes of the module that are these layers; None finds them. A module without an embedding reads
            series.
        cell : str or None
            "rnn_relu" where ``torch.nn.RNN`` has a rectifier, which a state dict does not say; None goes by the module,
            or by the number of gates.
        **params
            Further parameters of the classifier: `pooling` above all, and for texts `tokenizer` and `lowercase`.

        Returns
        -------
        RNNClassifier
            A fitted classifier. One of series standardizes nothing.

        Raises
        ------
        ValueError
            The weights are not those of such a module.
        """
        names = {"embedding": embedding, "recurrent": recurrent, "output": output}
        parts, cell = find_parts(state_dict, names, cell, classifier=True)
        target, order = _find_target(parts, classes)
        parts |= {name: parts[name][order] for name in ("output.weight", "output.bias")}
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
            vocabulary, parts = place_tokens(parts, tokens, special_tokens, classifier=True)
            content["reader"] = {"tokens": vocabulary.tokens}
            sizes["embedding_size"] = parts["embedding.weight"].shape[1]
        return cls._unpack({"cell": cell, **params, **sizes}, content, parts)


def _standardize(weights, reader):
    """Change the weights of the first layer so that it reads what is not standardized."""
    for end in ("", "_reverse"):
        if f"weight_ih_l0{end}" in weights:
            weight = weights[f"weight_ih_l0{end}"] / reader.scale
            weights[f"bias_ih_l0{end}"] -= (weight @ reader.mean).astype(np.float32)
            weights[f"weight_ih_l0{end}"] = weight.astype(np.float32)


def _find_target(parts, classes):
    """Return what a file keeps of the target, and the order of the outputs; a single output becomes two."""
    if classes is None:
        size = len(parts["output.bias"])
        return {"kind": "labels", "n_outputs": size}, np.arange(size)
    classes = np.asarray(classes)
    if len(parts["output.bias"]) == 1:  # the sigmoid of a logit is the softmax of 0 and the logit
        for name in ("output.weight", "output.bias"):
            parts[name] = np.concatenate([0 * parts[name], parts[name]])
    size = len(parts["output.bias"])
    if classes.shape != (size,) or len(np.unique(classes)) != size:
        raise ValueError(f"classes must be {size} different ones, got {shown(classes.tolist())}.")
    order = np.argsort(classes)
    classes = classes[order]
    return {"kind": "classes", "classes": {"dtype": classes.dtype.str, "values": classes.tolist()}}, order
