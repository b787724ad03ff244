"""Modules of torch: the embedding, the recurrent layers and the output in a state dict."""

import collections.abc

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.exchange._keras import find_name
from fastrnn.text.tokens import SPECIAL_TOKENS
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.arrays import weights_of
from fastrnn.utils.checks import check_choice, shown, warn_caller

_TORCH_CELLS = ("rnn", "rnn_relu", "irnn", "gru", "lstm")
# The logit of a token that the other model lacks: its probability is 0, the logarithm of it finite.
_NO_LOGIT = -1e4


def check_torch(layer):
    """Raise ValueError unless torch has a recurrent layer of an estimator."""
    name = find_name(layer)
    if name not in _TORCH_CELLS:
        raise ValueError(f"cell must be one of {_TORCH_CELLS} for torch, got {shown(name or layer.cell)}.")
    for name, none in (("residual", False), ("zoneout", 0.0)):
        if np.any(getattr(layer, name)):
            raise ValueError(f"{name} must be {none} for torch, whose layers have no such thing.")


def find_parts(module, names, cell=None, whole_sequences=False):
    """Return the arrays of a network by our names, and its cell.

    Parameters
    ----------
    module : module, or mapping of str to (array-like or tensor)
        With the entries ``encoder.weight``, ``rnn.weight_ih_l0`` and so on, ``decoder.weight``, ``decoder.bias``, for
        instance.
    names : dict
        The prefixes of "embedding", "recurrent" and "output"; None finds one.
    cell : str or None
        The name of the cell, if it is known.
    whole_sequences : bool
        Whether the network belongs to an estimator of whole sequences rather than to a language model: it may have a
        second direction, and no embedding.

    Returns
    -------
    parts : dict of str to ndarray
        ``embedding.weight``, ``recurrent.weight_ih_l0``, …, ``output.weight``, ``output.bias``. Missing biases
        are zeros.
    cell : str
    """
    arrays = {key: np.array(value, np.float32) for key, value in weights_of(module).items()}
    recurrent = names["recurrent"] or _find(arrays, "weight_ih_l0", "recurrent")
    layers = _recurrent_parts(arrays, recurrent, whole_sequences)
    parts = {f"recurrent.{name}": array for name, array in layers.items()}
    others = {key: array for key, array in arrays.items() if not key.startswith(f"{recurrent}.")}
    output = names["output"] or _find_output(others, _output_size(parts))
    parts["output.weight"] = _matrix(others, f"{output}.weight", _output_size(parts), "the recurrent layers return")
    parts["output.bias"] = others.get(f"{output}.bias", np.zeros(len(parts["output.weight"]), np.float32))
    matrices = {key: array for key, array in others.items() if key != f"{output}.weight"}
    embedding = None
    if names["embedding"] or not whole_sequences or any(key.endswith(".weight") for key in matrices):
        embedding = names["embedding"] or _find(matrices, "weight", "embedding")
        size = parts["recurrent.weight_ih_l0"].shape[1]
        parts["embedding.weight"] = _matrix(others, f"{embedding}.weight", size, "the recurrent layers read")
    _warn_of_unused(arrays, recurrent, output, embedding)
    return parts, _find_cell(module, recurrent, parts, cell)


def _warn_of_unused(arrays, *prefixes):
    """Warn about arrays that belong to no part: perhaps a layer that the model does not have."""
    unused = sorted(key for key in arrays if key.rpartition(".")[0] not in prefixes)
    if unused:
        warn_caller(f"state_dict has arrays that are not used: {shown(unused)}.")


def _recurrent_parts(arrays, recurrent, bidirectional):
    """Return the arrays of the recurrent layers by torch's names."""
    layers = {key[len(recurrent) + 1 :]: array for key, array in arrays.items() if key.startswith(f"{recurrent}.")}
    if "weight_ih_l0_reverse" in layers and not bidirectional:
        raise ValueError(f"state_dict has a second direction in {recurrent}, which this model cannot have.")
    if "weight_ih_l0" not in layers or "weight_hh_l0" not in layers:
        raise ValueError(f"state_dict must have {recurrent}.weight_ih_l0 and {recurrent}.weight_hh_l0.")
    rows, hidden = len(layers["weight_hh_l0"]), _hidden_size(layers)
    if rows % hidden or rows // hidden not in (1, 3, 4):
        raise ValueError(f"{recurrent}.weight_hh_l0 must have 1, 3 or 4 times {hidden} rows, got {rows}.")
    for name in [name for name in layers if name.startswith("weight_ih")]:  # torch may have no biases
        for bias in ("bias_ih", "bias_hh"):
            layers.setdefault(name.replace("weight_ih", bias), np.zeros(rows, np.float32))
    return layers


def _hidden_size(layers):
    """Return the number of hidden units; with a projection, h is shorter."""
    return layers.get("weight_hr_l0", layers["weight_hh_l0"]).shape[1]


def _output_size(parts):
    """Return the size of the recurrent layers' outputs."""
    return parts["recurrent.weight_hh_l0"].shape[1] * (1 + ("recurrent.weight_ih_l0_reverse" in parts))


def _find_cell(module, recurrent, parts, cell):
    """Return the cell by its name, or by the number of gates and a module's nonlinearity."""
    gates = len(parts["recurrent.weight_hh_l0"]) // recurrent_params(parts)["hidden_size"]
    fitting = [name for name in _TORCH_CELLS if len(CELLS[name].gates) == gates]
    if cell is not None:
        check_choice("cell", cell, fitting)
        return cell
    layer = module.get_submodule(recurrent) if hasattr(module, "get_submodule") else None
    return "rnn_relu" if getattr(layer, "nonlinearity", None) == "relu" else fitting[0]


def _matrix(arrays, key, columns, what):
    """Return the matrix `key`; raise ValueError unless it has that many columns."""
    if key not in arrays:
        raise ValueError(f"state_dict has no {key!r}, got the keys {sorted(arrays)}.")
    shape = arrays[key].shape
    if len(shape) != 2 or shape[1] != columns:
        raise ValueError(f"{key} must have {columns} columns, as many numbers as {what}, got the shape {shape}.")
    return arrays[key]


def _find_output(arrays, size):
    """Return the prefix of the output: the only part with a bias, or without one, the only one of this input size."""
    if any(key.endswith(".bias") for key in arrays):
        return _find(arrays, "bias", "output")
    fitting = {key: array for key, array in arrays.items() if array.ndim == 2 and array.shape[1] == size}
    return _find(fitting if len(fitting) == 1 else arrays, "weight", "output")


def _find(arrays, ending, what):
    """Return the prefix of the only key with this ending."""
    found = [key[: -len(ending) - 1] for key in arrays if key.endswith(f".{ending}")]
    if len(found) != 1:
        raise ValueError(
            f"state_dict has {len(found) or 'no'} keys that end in .{ending}: name the part with {what}=…, "
            f"one of {sorted({key.rpartition('.')[0] for key in arrays})}."
        )
    return found[0]


def recurrent_params(parts):
    """Return the parameters of an estimator that give the sizes of its recurrent layers."""
    layers = {name.removeprefix("recurrent."): array for name, array in parts.items() if name.startswith("recurrent.")}
    return {
        "hidden_size": _hidden_size(layers),
        "num_layers": sum(name.startswith("weight_hh") and not name.endswith("_reverse") for name in layers),
        "proj_size": layers["weight_hh_l0"].shape[1] if "weight_hr_l0" in layers else 0,
    }


def place_tokens(parts, tokens, special_tokens, whole_sequences=False):
    """Return the vocabulary of `tokens`, and arrays whose rows are in its order.

    Parameters
    ----------
    parts : dict
        As from `find_parts`.
    tokens : sequence of (str or int), or mapping of str to int
        The token of each row, or the row of each token; ids are taken as strings, as in texts that are lists of ids.
    special_tokens : dict of str to str, or None
        The names of ``</s>``, ``<unk>`` and the like in `tokens`. They may be missing there, except ``</s>`` for a
        language model.
    whole_sequences : bool
        As in `find_parts`: then only the embedding has a row for each token.

    Returns
    -------
    vocabulary : Vocabulary
    parts : dict
    """
    tokens = [str(token) for token in _by_row(tokens)]
    special = {ours: str(theirs) for ours, theirs in (special_tokens or {}).items()}
    rows = len(parts["embedding.weight"])
    predicts_tokens = {name: missing for name, missing in (("output.weight", 0), ("output.bias", _NO_LOGIT))
                       if not whole_sequences}  # fmt: skip
    for name in ("embedding.weight", *predicts_tokens):
        if len(parts[name]) != len(tokens):
            raise ValueError(f"tokens must be as many as rows of {name}, {len(parts[name])}, got {len(tokens)}.")
    unknown = [f"{ours}: {theirs}" for ours, theirs in special.items()
               if ours not in SPECIAL_TOKENS or theirs not in tokens]  # fmt: skip
    if unknown:
        raise ValueError(f"special_tokens must map some of {SPECIAL_TOKENS} to tokens, got {', '.join(unknown)}.")
    places = [tokens.index(special.get(name, name)) if special.get(name, name) in tokens else -1
              for name in SPECIAL_TOKENS]  # fmt: skip
    if places[-1] < 0 and not whole_sequences:
        raise ValueError(
            "tokens has no '</s>': say which token ends a sentence, with special_tokens={'</s>': '<eos>'} for instance."
        )
    places += [place for place in range(rows) if place not in set(places)]
    vocabulary = Vocabulary.from_tokens([*SPECIAL_TOKENS, *(tokens[place] for place in places[len(SPECIAL_TOKENS) :])])
    placed = dict(parts)
    for name, missing in (("embedding.weight", 0), *predicts_tokens.items()):
        placed[name] = parts[name][places]
        placed[name][np.array(places) < 0] = missing
    return vocabulary, placed


def _by_row(tokens):
    """Return the tokens in the order of their rows."""
    if not isinstance(tokens, collections.abc.Mapping):
        return tokens
    by_row = sorted(tokens, key=tokens.get)
    if [tokens[token] for token in by_row] != list(range(len(tokens))):
        raise ValueError(f"tokens must map each token to its row, from 0 to {len(tokens) - 1}, got {shown(tokens)}.")
    return by_row
