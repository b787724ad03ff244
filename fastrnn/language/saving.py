"""Files of language models."""

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
            If a parameter is no plain value (a callable tokenizer for instance): the message says what to do.
        """
        check_fitted(self, "vocabulary_")
        save_model(path, type(self).__name__, *self._pack())

    def _stored_params(self):
        """Return the constructor's parameters that a file keeps; the vocabulary stands there anyway."""
        params = self.get_params(deep=False)
        params.pop("vocabulary", None)
        if "tokenizer" in params:
            params["tokenizer"] = tokenizer_to_plain(params["tokenizer"])
        return params

    def _pack(self):
        """Return what a file keeps of a fitted model: parameters and content in plain values, and arrays."""
        params = {name: plain_parameter(name, value) for name, value in self._stored_params().items()}
        content, arrays = self._get_learned()
        given = {"tokens": self.vocabulary_.tokens, "vocabulary_given": self.vocabulary is not None}
        return params, {**content, **given}, arrays

    @classmethod
    def load(cls, path, verify=True):
        """Read a model that `save` wrote.

        The learned arrays are mapped into memory, which n-gram models use as they are: pages of the file are read when
        they are needed, and processes share them. Replace the file (as `save` does), but do not change it in place.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        verify : bool
            Whether the whole file is read once to compare it with its checksum (two or three gigabytes a second).
            Without that a damaged file may give wrong numbers or end the process; loading takes as long for any size.

        Returns
        -------
        A fitted model of this class.

        Raises
        ------
        ValueError
            If the file is no saved model, is damaged or incomplete, or holds a model of another class or of another
            version of the format.
        """
        params, content, arrays = load_model(path, cls.__name__, verify)
        with rebuilt(path, cls.__name__):
            return cls._unpack(params, content, arrays)

    @classmethod
    def _unpack(cls, params, content, arrays):
        """Return the fitted model that `_pack` took apart."""
        vocabulary = Vocabulary.from_tokens(content.pop("tokens"))
        if "tokenizer" in params:
            params["tokenizer"] = tokenizer_from_plain(params["tokenizer"])
        model = cls(**params, **({"vocabulary": vocabulary} if content.pop("vocabulary_given") else {}))
        model.vocabulary_ = vocabulary
        model._set_learned(content, arrays)
        return model
