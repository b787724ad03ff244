"""Files of language models."""

import fastrnn  # whose public classes a file may hold
from fastrnn.backends import place_loaded
from fastrnn.persistence import load_model, plain_parameter, rebuilt, save_model
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.use import GuardedMixin


class SavingMixin(GuardedMixin):
    """The methods of language models that write them to files and read them back."""

    def save(self, path):
        """Write the fitted model to one safetensors file, which holds no code.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            If a parameter is not a plain value (a callable tokenizer for instance): the message says what to do.
        """
        check_fitted(self, "vocabulary_")
        save_model(path, type(self).__name__, *self._pack())

    def _stored_params(self):
        """Return the constructor's parameters that a file keeps; it has the vocabulary as content."""
        params = self.get_params(deep=False)
        params.pop("vocabulary", None)
        if "tokenizer" in params:
            params["tokenizer"] = tokenizer_to_plain(params["tokenizer"])
        return params

    def _pack(self):
        """Return the content of a fitted model's file: parameters and content as plain values, and arrays."""
        params = {name: plain_parameter(name, value) for name, value in self._stored_params().items()}
        content, arrays = self._get_learned()
        given = {"tokens": self.vocabulary_.tokens, "vocabulary_given": self.vocabulary is not None}
        return params, {**content, **given}, arrays

    @classmethod
    def load(cls, path, verify=True, device=None):
        """Read a model that `save` wrote.

        The learned arrays are mapped into memory, and n-gram models use them there: pages of the file are read when
        they are needed, and processes share them. The file may be replaced, as `save` does, but not changed in place.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        verify : bool
            Whether the whole file is read once and compared with its checksum (two or three gigabytes a second).
            Otherwise loading takes the same time for any size, but a damaged file may give wrong numbers or end the
            process.
        device : {"cpu", "cuda", "auto"} or None, default=None
            Where the model's network will be. None is the device that the model was saved with, or the CPU where that
            is a GPU and there is none.

        Returns
        -------
        A fitted model of this class.

        Raises
        ------
        ValueError
            If the file is not a saved model, is damaged or incomplete, or holds a model of another class or of another
            version of the format; or if `device` is "cuda" for a model without a network.
        RuntimeError
            `device` is "cuda", and there is no GPU, or a package for it is missing.
        """
        params, content, arrays = load_model(path, cls.__name__, verify)
        place_loaded(cls.__name__, params, content, device)
        with rebuilt(path, cls.__name__):
            return cls._unpack(params, content, arrays)

    @classmethod
    def _unpack(cls, params, content, arrays):
        """Return the fitted model that `_pack` packed."""
        vocabulary = Vocabulary.from_tokens(content.pop("tokens"))
        if "tokenizer" in params:
            params["tokenizer"] = tokenizer_from_plain(params["tokenizer"])
        model = cls(**params, **({"vocabulary": vocabulary} if content.pop("vocabulary_given") else {}))
        model.vocabulary_ = vocabulary
        model._set_learned(content, arrays)
        return model


def pack_models(models):
    """Return the content of a file for fitted models that share one vocabulary, which is left out.

    Parameters
    ----------
    models : list of language models

    Returns
    -------
    parts : list of (class name, parameters, content)
        In plain values.
    arrays : dict of str to array
    """
    parts, arrays = [], {}
    for i, model in enumerate(models):
        params, content, learned = model._pack()
        del content["tokens"]
        parts.append([type(model).__name__, params, content])
        arrays |= {f"{i}.{name}": array for name, array in learned.items()}
    return parts, arrays


def unpack_models(parts, arrays, tokens):
    """Return the models that `pack_models` packed; `tokens` are those of their vocabulary."""
    models = []
    for i, (name, params, content) in enumerate(parts):
        if name not in fastrnn.__all__:
            raise ValueError(f"The file holds a model of the class {name}, which this fastrnn does not have.")
        learned = {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{i}.")}
        models.append(getattr(fastrnn, name)._unpack(params, {**content, "tokens": tokens}, learned))
    return models
