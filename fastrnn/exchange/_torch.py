"""Modules of torch: which entries of a state dict are embedding, recurrent layers and output."""

import numpy as np

from fastrnn._arrays import weights_of
from fastrnn.text import SPECIAL_TOKENS, Vocabulary

TORCH_CELLS = ("rnn", "rnn_relu", "irnn", "gru", "lstm")
_CELLS = {1: "rnn", 3: "gru", 4: "lstm"}  # by the number of gates
# The logit of a token that the other model does not have: it has no probability, but its logarithm is finite.
_NO_LOGIT = -1e4


def find_parts(state_dict, names, classifier=False):
    """Return the arrays of a network, by our names, and the cell that they belong to.

    Parameters
    ----------
    state_dict : mapping of str to (array-like or tensor), or module
        For instance ``encoder.weight``, ``rnn.weight_ih_l0`` and so on, ``decoder.weight``, ``decoder.bias``.
    names : dict
        The prefixes "embedding", "recurrent" and "output", or None where they are to be found.
    classifier : bool
        Whether a second direction is allowed, and an embedding may be missing.

    Returns
    -------
    parts : dict of str to ndarray
        ``embedding.weight``, ``recurrent.weight_ih_l0``, …, ``output.weight``, ``output.bias``.
    cell : str
    """
    arrays = {key: np.array(value, np.float32) for key, value in weights_of(state_dict).items()}
    recurrent = names["recurrent"] or _find(arrays, "weight_ih_l0", "recurrent")
    layers, cell = _recurrent_parts(arrays, recurrent, classifier)
    others = {key: array for key, array in arrays.items() if not key.startswith(f"{recurrent}.")}
    output = names["output"] or _find(others, "bias", "output")
    wanted = {"output.weight": f"{output}.weight", "output.bias": f"{output}.bias"}
    matrices = {key: array for key, array in others.items() if key != f"{output}.weight"}
    embeds = names["embedding"] or not classifier or any(key.endswith(".weight") for key in matrices)
    if embeds and set(wanted.values()) <= others.keys():
        wanted["embedding.weight"] = f"{names['embedding'] or _find(matrices, 'weight', 'embedding')}.weight"
    for key in wanted.values():
        if key not in others:
            raise ValueError(f"state_dict has no {key!r}, got the keys {sorted(arrays)}.")
    parts = {name: others[key] for name, key in wanted.items()}
    return {**parts, **{f"recurrent.{name}": array for name, array in layers.items()}}, cell


def _recurrent_parts(arrays, recurrent, bidirectional):
    """Return the arrays of the recurrent layers by torch's names, and their cell."""
    layers = {key[len(recurrent) + 1 :]: array for key, array in arrays.items() if key.startswith(f"{recurrent}.")}
    odd = {"weight_hr_l0": "a projection"}
    if not bidirectional:
        odd["weight_ih_l0_reverse"] = "a second direction"
    for name, what in odd.items():
        if name in layers:
            raise ValueError(f"state_dict has {what} in {recurrent}, which such a model here has not.")
    if "weight_ih_l0" not in layers or "weight_hh_l0" not in layers:
        raise ValueError(f"state_dict must have {recurrent}.weight_ih_l0 and {recurrent}.weight_hh_l0.")
    rows, hidden = layers["weight_hh_l0"].shape
    if rows % hidden or rows // hidden not in _CELLS:
        raise ValueError(f"{recurrent}.weight_hh_l0 must have 1, 3 or 4 times {hidden} rows, got {rows}.")
    for name in [name for name in layers if name.startswith("weight_ih")]:  # torch may have no biases
        for bias in ("bias_ih", "bias_hh"):
            layers.setdefault(name.replace("weight_ih", bias), np.zeros(rows, np.float32))
    return layers, _CELLS[rows // hidden]


def _find(arrays, ending, what):
    """Return the prefix of the only key that ends so."""
    found = [key[: -len(ending) - 1] for key in arrays if key.endswith(f".{ending}")]
    if len(found) != 1:
        raise ValueError(
            f"state_dict has {len(found) or 'no'} keys that end in .{ending}: name the part with {what}=…, "
            f"one of {sorted({key.rpartition('.')[0] for key in arrays})}."
        )
    return found[0]


def recurrent_params(parts):
    """Return the parameters of an estimator that say how large its recurrent layers are."""
    return {
        "hidden_size": parts["recurrent.weight_hh_l0"].shape[1],
        "num_layers": sum(name.startswith("recurrent.weight_hh") and not name.endswith("_reverse") for name in parts),
    }


def place_tokens(parts, tokens, special_tokens, classifier=False):
    """Return the vocabulary of `tokens`, and arrays whose rows are in its order.

    Parameters
    ----------
    parts : dict
        As from `find_parts`.
    tokens : sequence of str
        The token of each row.
    special_tokens : dict of str to str, or None
        What ``</s>``, ``<unk>`` and the like are called in `tokens`; they may be missing there, but for the ``</s>`` of
        a language model.
    classifier : bool
        Whether only the embedding has a row for each token.

    Returns
    -------
    vocabulary : Vocabulary
    parts : dict
    """
    tokens, special = list(tokens), dict(special_tokens or {})
    rows = len(parts["embedding.weight"])
    predicts_tokens = {name: missing for name, missing in (("output.weight", 0), ("output.bias", _NO_LOGIT))
                       if not classifier}  # fmt: skip
    for name in ("embedding.weight", *predicts_tokens):
        if len(parts[name]) != len(tokens):
            raise ValueError(f"tokens must be as many as rows of {name}, {len(parts[name])}, got {len(tokens)}.")
    unknown = [f"{ours}: {theirs}" for ours, theirs in special.items()
               if ours not in SPECIAL_TOKENS or theirs not in tokens]  # fmt: skip
    if unknown:
        raise ValueError(f"special_tokens must map some of {SPECIAL_TOKENS} to tokens, got {', '.join(unknown)}.")
    places = [tokens.index(special.get(name, name)) if special.get(name, name) in tokens else -1
              for name in SPECIAL_TOKENS]  # fmt: skip
    if places[-1] < 0 and not classifier:
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
