"""Translators as the state dict of a torch module, and back."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.cells import CELLS
from fastrnn.exchange._torch import check_torch, place_tokens
from fastrnn.layers import Recurrent
from fastrnn.utils.arrays import weights_of
from fastrnn.utils.checks import check_choice, listed, shown, warn_caller
from fastrnn.utils.use import GuardedMixin

_DENSE = ("attention_query", "attention_memory", "attention_score", "readout", "output")
_PARTS = ("embedding", "encoder", "target_embedding", "decoder", "bridge_h", "bridge_c", *_DENSE)
_CELL_ARRAYS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class TorchTranslationMixin(GuardedMixin):
    """Weights to and from torch."""

    def to_torch(self, names=None):
        """Return the weights as the state dict of a torch module.

        The module has these parts, of sizes E (`embedding_size`), H (`hidden_size`), M (the encoder's outputs) and
        A = H (attention):

        - ``embedding``, ``target_embedding``: ``torch.nn.Embedding``, with rows in the order of
          ``source_vocabulary_.tokens`` and ``target_vocabulary_.tokens``;
        - ``encoder``: ``torch.nn.GRU`` (LSTM, RNN), whose outputs are the memory; with dot attention, those of both
          directions are added;
        - ``bridge_h``, and for an LSTM ``bridge_c``: a list of ``torch.nn.Linear`` for each layer of the decoder. The
          tanh of their outputs for the encoder's last h, both directions side by side, is the decoder's first state;
        - ``decoder``: a list of ``torch.nn.GRUCell`` (LSTMCell, RNNCell). The first one reads the embedding of the last
          token, joined to the context with `input_feeding`; the others read h of the layer below and the context;
        - ``attention_query`` (H → A), ``attention_memory`` (M → A, no bias) and ``attention_score`` (A → 1, no bias),
          ``torch.nn.Linear``, for additive attention; ``attention_memory`` (M → H) alone for the general one;
        - ``readout``: ``torch.nn.Linear``, whose tanh for h of the last layer, joined to the context, goes into
          ``output``, ``torch.nn.Linear``.

        Parameters
        ----------
        names : dict of str to str or None, default=None
            The attributes of the module that are these parts, where they have other names.

        Returns
        -------
        dict of str to ndarray
            Copies of the weights, for ``load_state_dict`` after ``torch.from_numpy``.

        Raises
        ------
        ValueError
            torch has no such module: another cell, residual connections, zoneout.
        """
        check_is_fitted(self, "network_")
        network, names = self.network_, _names(names)
        check_torch(network.recurrent)
        parts = {part: network.layers[part].state_dict() for part in ("embedding", "encoder", "target_embedding")}
        parts |= {part: network.layers[part].state_dict() for part in ("readout", "output")}
        layers = [part for part in network.decoder.parts() if isinstance(part, Recurrent)]
        parts["decoder"] = _numbered([_cell_arrays(layer.state_dict(), "_l0") for layer in layers])
        for name, bridge in zip(network.decoder.cell.states, network.bridge, strict=True):
            parts[f"bridge_{name}"] = _numbered([layer.state_dict() for layer in bridge])
        if network.decoder.attention is not None:
            parts |= _attention_parts(network.decoder.attention.state_dict())
        return {f"{names[part]}.{key}": array for part, arrays in parts.items() for key, array in arrays.items()}

    @classmethod
    def from_torch(cls, state_dict, source_tokens, target_tokens, *, special_tokens=None, names=None, cell=None,
                   longest=100, **params):  # fmt: skip
        """Make a translator of the weights of a torch module, see `to_torch` for its parts.

        Attention and input feeding are inferred from the parts and their sizes. A bias of ``attention_memory`` is added
        to that of ``attention_query``; that of ``attention_score`` changes nothing.

        Parameters
        ----------
        state_dict : module, or mapping of str to (tensor or array-like)
            The module, or its ``state_dict()``. Tensors may be of any floating-point type.
        source_tokens, target_tokens : sequence of str, or mapping of str to int
            The token of each row of the embeddings, or the row of each token.
        special_tokens : dict of str to str or None, default=None
            Names of ``<s>``, ``</s>``, ``<unk>`` and ``<pad>`` in them, if they differ. The targets need ``</s>``;
            others get vectors of zeros if they are missing.
        names : dict of str to str or None, default=None
            As in `to_torch`.
        cell : str or None, default=None
            The cell's name. None infers it from the number of gates; "rnn_relu" must be given, because a state dict
            does not tell it from "rnn".
        longest : int, default=100
            Tokens of the longest target, which limits the length of predictions, see `predict`.
        **params
            Further parameters of the translator: `tokenizer` for instance.

        Returns
        -------
        RNNTranslator

        Raises
        ------
        ValueError
            The weights are not those of such a module.
        """
        parts = _split(state_dict, _names(names))
        special = special_tokens or {}
        sources = list(map(str, source_tokens))
        known = {ours: theirs for ours, theirs in special.items() if str(theirs) in sources}
        placed = {"embedding.weight": _array(parts, "embedding", "weight")}
        source_vocabulary, placed = place_tokens(placed, source_tokens, known, whole_sequences=True)
        targets = {
            "embedding.weight": _array(parts, "target_embedding", "weight"),
            "output.weight": _array(parts, "output", "weight"),
            "output.bias": _bias(parts["output"], "weight"),
        }
        target_vocabulary, targets = place_tokens(targets, target_tokens, special)
        placed |= {"target_embedding.weight": targets.pop("embedding.weight"), **targets}
        sizes = _sizes(parts, placed, cell)
        placed |= _arrays_of_layers(parts, sizes)
        tokenizers = params.get("tokenizer", "words")
        tokenizers = tokenizers if isinstance(tokenizers, tuple | list) else (tokenizers, tokenizers)
        sides = [
            {"tokens": vocabulary.tokens, "tokenizer": None, "kind": "tokens" if tokenizer is None else "strings"}
            for vocabulary, tokenizer in zip((source_vocabulary, target_vocabulary), tokenizers, strict=True)
        ]
        content = {"class_weight": None, "reader": sides[0], "loss_curve": [], "validation_scores": [],
                   "target": {**sides[1], "longest": longest}}  # fmt: skip
        return cls._unpack({**params, **sizes}, content, placed)


def _names(names):
    """Return the name of each part in a module."""
    unknown = [part for part in names or () if part not in _PARTS]
    if unknown:
        raise ValueError(f"names must have keys that are {listed(_PARTS)}, got {shown(unknown[0])}.")
    return {part: part for part in _PARTS} | (names or {})


def _numbered(layers):
    """Return the arrays of several layers in one dict, as those of ``torch.nn.ModuleList``."""
    return {f"{k}.{name}": array for k, arrays in enumerate(layers) for name, array in arrays.items()}


def _cell_arrays(arrays, ending):
    return {name: arrays[f"{name}{ending}"] for name in _CELL_ARRAYS}


def _attention_parts(arrays):
    """Return the arrays of an attention layer as those of linear layers."""
    parts = {}
    if "score" in arrays:
        parts["attention_query"] = {"weight": arrays["weight_query"], "bias": arrays["bias"]}
        parts["attention_score"] = {"weight": arrays["score"][np.newaxis]}
    if "weight_memory" in arrays:
        parts["attention_memory"] = {"weight": arrays["weight_memory"]}
    return parts


def _split(module, names):
    """Return the arrays of each part, dicts of str to float32 array; warn about those that belong to none."""
    parts, rest = {part: {} for part in names}, []
    for key, value in weights_of(module).items():
        part = next((part for part, name in names.items() if key.startswith(f"{name}.")), None)
        if part is None:
            rest.append(key)
        else:
            parts[part][key[len(names[part]) + 1 :]] = np.array(value, np.float32)
    for part in ("embedding", "encoder", "target_embedding", "decoder", "bridge_h", "readout", "output"):
        if not parts[part]:
            raise ValueError(f"state_dict must have arrays of {names[part]!r}: say with names how it calls {part!r}.")
    if rest:
        warn_caller(f"state_dict has arrays that are not used: {shown(sorted(rest))}.")
    return parts


def _array(parts, part, key):
    if key not in parts[part]:
        raise ValueError(f"state_dict must have {part}.{key}, got {shown(sorted(parts[part]))} for {part!r}.")
    return parts[part][key]


def _bias(arrays, weight):
    """Return the bias beside a weight; zeros if there is none."""
    bias = weight.replace("weight", "bias")
    return arrays.get(bias, np.zeros(len(arrays[weight]), np.float32))


def _sizes(parts, placed, cell):
    """Return the parameters of the estimator that the arrays tell."""
    weight_hh, encoder = _array(parts, "decoder", "0.weight_hh"), parts["encoder"]
    rows, hidden = weight_hh.shape
    fitting = [name for name in ("rnn", "rnn_relu", "gru", "lstm") if len(CELLS[name].gates) * hidden == rows]
    if not fitting:
        raise ValueError(f"decoder.0.weight_hh must have 1, 3 or 4 times {hidden} rows, got {rows}.")
    if cell is not None:
        check_choice("cell", cell, fitting)
    if _array(parts, "encoder", "weight_hh_l0").shape != weight_hh.shape:
        shape = encoder["weight_hh_l0"].shape
        raise ValueError(
            f"encoder.weight_hh_l0 must have the shape of decoder.0.weight_hh, {weight_hh.shape}, got {shape}."
        )
    size = placed["target_embedding.weight"].shape[1]
    joined = _array(parts, "readout", "weight").shape[1]
    score = "dot" if joined > hidden else None
    if parts["attention_memory"]:
        score = "additive" if parts["attention_query"] else "general"
    is_tied = len(parts["readout"]["weight"]) == size and np.array_equal(
        placed["output.weight"], placed["target_embedding.weight"]
    )
    return {
        "cell": cell or fitting[0],
        "embedding_size": size,
        "hidden_size": hidden,
        "num_layers": sum(name.endswith("weight_hh") for name in parts["decoder"]),
        "bidirectional": "weight_ih_l0_reverse" in encoder,
        "attention": score,
        "input_feeding": score is not None and _array(parts, "decoder", "0.weight_ih").shape[1] > size,
        "tie_weights": is_tied,
    }


def _arrays_of_layers(parts, sizes):
    """Return the arrays of encoder, bridge, decoder, attention and readout by the network's names."""
    encoder = parts["encoder"]
    arrays = {f"encoder.{name}": array for name, array in encoder.items()}
    for name in (name for name in encoder if name.startswith("weight_ih")):
        for bias in ("bias_ih", "bias_hh"):  # torch may have no biases
            zeros = np.zeros(len(encoder[name]), np.float32)
            arrays.setdefault(f"encoder.{name.replace('weight_ih', bias)}", zeros)
    for k in range(sizes["num_layers"]):
        for name in _CELL_ARRAYS:
            found = parts["decoder"].get(f"{k}.{name}")
            if found is None and name.startswith("weight"):
                raise ValueError(f"state_dict must have decoder.{k}.{name}.")
            rows = len(parts["decoder"][f"{k}.weight_hh"])
            arrays[f"decoder.{name}_l{k}"] = np.zeros(rows, np.float32) if found is None else found
        for state in CELLS[sizes["cell"]].states:
            arrays[f"bridge_{state}_l{k}.weight"] = _array(parts, f"bridge_{state}", f"{k}.weight")
            arrays[f"bridge_{state}_l{k}.bias"] = _bias(parts[f"bridge_{state}"], f"{k}.weight")
    arrays |= {"readout.weight": parts["readout"]["weight"], "readout.bias": _bias(parts["readout"], "weight")}
    if sizes["attention"] in ("additive", "general"):
        arrays["decoder.attention.weight_memory"] = _array(parts, "attention_memory", "weight")
    if sizes["attention"] == "additive":
        query = _array(parts, "attention_query", "weight")
        arrays["decoder.attention.weight_query"] = query
        biases = [_bias(parts[part], "weight") for part in ("attention_query", "attention_memory")]
        arrays["decoder.attention.bias"] = biases[0] + biases[1]
        arrays["decoder.attention.score"] = _array(parts, "attention_score", "weight")[0]
    return arrays
