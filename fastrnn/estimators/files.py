"""Fitted estimators as the content of a file, and back."""

import types

from fastrnn.backends import place_loaded
from fastrnn.persistence import load_model, plain_parameter, rebuilt, save_model
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.use import GuardedMixin

_NOT_STORED = ("embedding", "class_weight")  # vectors are among the learned arrays; keys of JSON objects are strings


class FilesMixin(GuardedMixin):
    """The methods of estimators of sequences that write them to files and read them back."""

    _made_by_fit = "network_"  # an attribute of a fitted estimator
    _fitted_params = types.MappingProxyType({})  # parameters that only a fit can change, as they were in `fit`

    def save(self, path):
        """Write the fitted model to one safetensors file, which holds no code.

        The file holds pretrained vectors as they were learned, and the parameter `embedding` is None after `load`.
        Parameters that only a `fit` can change are written as they were in `fit`.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            If a parameter is not a plain value (a callable tokenizer for instance): the message says what to do.
        """
        check_fitted(self, self._made_by_fit)
        content = pack({**self.get_params(deep=False), **self._fitted_params}, self.learned)
        save_model(path, type(self).__name__, *content)

    @classmethod
    def load(cls, path, verify=True, device=None):
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
        verify : bool, default=True
            Whether to compare the whole file with its checksum. Without that, a damaged file may give wrong numbers.
        device : {"cpu", "cuda", "auto"} or None, default=None
            Where the model's network will be. None is the device that the model was saved with, or the CPU where that
            is a GPU and there is none.

        Returns
        -------
        A fitted model of this class.

        Raises
        ------
        ValueError
            If the file is not a saved model, is damaged, or holds a model of another class.
        RuntimeError
            `device` is "cuda", and there is no GPU, or a package for it is missing.
        """
        params, content, arrays = load_model(path, cls.__name__, verify)
        place_loaded(cls.__name__, params, content, device)
        with rebuilt(path, cls.__name__):
            return cls._unpack(params, content, arrays)


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
    if "tokenizer" in params:
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
    if "tokenizer" in params:
        params["tokenizer"] = tokenizer_from_plain(params["tokenizer"])
    weights = content.get("class_weight")  # a file may be older than the parameter
    if weights is not None:
        params["class_weight"] = dict(map(tuple, weights)) if isinstance(weights, list) else weights
    return params
