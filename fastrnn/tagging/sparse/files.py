"""Files of conditional random fields on sparse features."""

from fastrnn.estimators.base import Learned
from fastrnn.estimators.files import FilesMixin, unpack_params
from fastrnn.tagging.sparse.features import AttributeReader
from fastrnn.tagging.sparse.weights import Weights
from fastrnn.tagging.targets import TagsTarget


class CRFFilesMixin(FilesMixin):
    """What `CRFTagger` writes to files and reads back."""

    _made_by_fit = "classes_"

    @property
    def learned(self):
        """Reader, target, weights, losses and scores that `fit` learned, for files."""
        return Learned(self._reader, self._target, self._weights, self.loss_curve_, self.validation_scores_)

    @classmethod
    def _unpack(cls, params, content, arrays):
        model = cls(**unpack_params(params, content))
        reader = AttributeReader.from_learned(content["reader"], arrays, {"features": model.features})
        target = TagsTarget.from_learned(content["target"], {})
        model._set_learned(reader, target, Weights.from_arrays(arrays))
        model._set_curves(content["loss_curve"], content["validation_scores"])
        return model
