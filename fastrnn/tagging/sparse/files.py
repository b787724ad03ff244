"""Files of conditional random fields on sparse features."""

from fastrnn.backends import place_loaded
from fastrnn.persistence import load_model, plain_parameter, rebuilt, save_model
from fastrnn.tagging.sparse.features import AttributeReader
from fastrnn.tagging.sparse.weights import Weights
from fastrnn.tagging.targets import TagsTarget
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.use import GuardedMixin


class CRFFilesMixin(GuardedMixin):
    """The methods of `CRFTagger` that write models to files and read them back."""

    def save(self, path):
        """Write the fitted model to one safetensors file, which holds no code.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            `features` or `tokenizer` is a function: the message says what to do.
        """
        check_fitted(self, "classes_")
        params = {**self.get_params(deep=False), "tokenizer": tokenizer_to_plain(self.tokenizer)}
        params = {name: plain_parameter(name, value) for name, value in params.items()}
        (read, read_arrays), (tags, _) = self._reader.get_learned(), self._target.get_learned()
        content = {"reader": read, "target": tags, "loss_curve": self.loss_curve_,
                   "validation_scores": self.validation_scores_}  # fmt: skip
        save_model(path, type(self).__name__, params, content, {**read_arrays, **self._weights.packed()})

    @classmethod
    def load(cls, path, verify=True, device=None):
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
        verify : bool, default=True
            Whether to compare the whole file with its checksum. Without that, a damaged file may give wrong numbers.
        device : {"cpu", "auto"} or None, default=None
            The model runs on CPUs.

        Returns
        -------
        CRFTagger

        Raises
        ------
        ValueError
            The file is not a saved model, is damaged, or holds a model of another class.
        """
        params, content, arrays = load_model(path, cls.__name__, verify)
        place_loaded(cls.__name__, params, content, device)
        with rebuilt(path, cls.__name__):
            return cls._unpack(params, content, arrays)

    @classmethod
    def _unpack(cls, params, content, arrays):
        model = cls(**{**params, "tokenizer": tokenizer_from_plain(params["tokenizer"])})
        reader = AttributeReader.from_learned(content["reader"], arrays, {"features": model.features})
        target = TagsTarget.from_learned(content["target"], {})
        model._set_learned(reader, target, Weights.from_packed(arrays))
        model._set_curves(content["loss_curve"], content["validation_scores"])
        return model
