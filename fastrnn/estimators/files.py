"""Fitted estimators as the content of a file, and back."""

from fastrnn.persistence import plain_parameter
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain

_NOT_STORED = ("embedding", "class_weight")  # vectors are among the learned arrays; keys of JSON objects are strings


def pack(params, learned):
    """Return the content of a file of `save`.

    Parameters
    ----------
    params : dict
        The constructor's parameters.
    learned : Learned

    Returns
    -------
    params, content : dict of plain values
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        A parameter is not a plain value.
    """
    plain = {
        name: plain_parameter(name, value) for name, value in params.items() if name not in (*_NOT_STORED, "tokenizer")
    }
    plain["tokenizer"] = plain_parameter("tokenizer", tokenizer_to_plain(params["tokenizer"]))
    weights = params.get("class_weight")
    if isinstance(weights, dict):
        weights = [[plain_parameter("class_weight", part) for part in pair] for pair in weights.items()]
    (read, read_arrays), (target, target_arrays) = learned.reader.get_learned(), learned.target.get_learned()
    content = {
        "class_weight": weights,
        "reader": read,
        "target": target,
        "loss_curve": learned.loss_curve,
        "validation_scores": learned.validation_scores,
    }
    return plain, content, {**read_arrays, **target_arrays, **learned.network.get_arrays()}


def unpack_params(params, content):
    """Return the constructor's parameters that `pack` wrote.

    Parameters
    ----------
    params, content : dict of plain values

    Returns
    -------
    dict
    """
    params = {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}
    params["tokenizer"] = tokenizer_from_plain(params.get("tokenizer", "words"))
    weights = content["class_weight"]
    if weights is not None:
        params["class_weight"] = dict(map(tuple, weights)) if isinstance(weights, list) else weights
    return params
