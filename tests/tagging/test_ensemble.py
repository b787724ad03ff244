"""Labels by several taggers together."""

import numpy as np
import pytest

from fastrnn import CRFTagger
from fastrnn.tagging import predict_together
from fastrnn.tagging.labels import label_classes
from fastrnn.tagging.targets import TagsTarget


class Fixed:
    """A tagger with given probabilities."""

    input = "tokens"

    def __init__(self, probabilities, classes=("B-X", "I-X", "O"), scheme="iob2"):
        self.probabilities, self.classes_ = probabilities, label_classes(list(classes))
        self._target = TagsTarget(self.classes_, scheme, scheme)

    def _cut(self, X):
        return X

    def predict_proba(self, X):
        return [np.array(self.probabilities[: len(part)], float).reshape(-1, 3) for part in X]


FIRST = Fixed([[0.1, 0.6, 0.3], [0.0, 0.5, 0.5]])
SECOND = Fixed([[0.7, 0.2, 0.1], [0.0, 0.3, 0.7]])


@pytest.mark.parametrize(("weights", "expected"), [
    (None, ["B-X", "O"]), ([1, 0], ["O", "O"]), ([0, 3], ["B-X", "O"]), ([4, 2], ["B-X", "O"]),
])  # fmt: skip
def test_the_best_allowed_labels_of_the_mean(weights, expected):
    assert predict_together([FIRST, SECOND], [["a", "b"], [], ["a"]], weights) == [expected, [], expected[:1]]


def test_sequences_are_as_good_as_all_their_elements():
    tagger = Fixed([[0.4, 0.0, 0.6], [0.0, 0.9, 0.1]])
    assert predict_together([tagger], [["a", "b"]]) == [["B-X", "I-X"]]
    plain = Fixed([[0.4, 0.0, 0.6], [0.0, 0.9, 0.1]], scheme=None)
    assert predict_together([plain], [["a", "b"]]) == [["O", "I-X"]]


def test_texts_have_spans():
    texts, spans = ["Ann Lee left.", "Bob ran."] * 5, [[(0, 7, "PER")], [(0, 3, "PER")]] * 5
    tagger = CRFTagger(input="text").fit(texts, spans)
    other = CRFTagger(input="text", tokenizer="whitespace").fit(texts, spans)
    assert predict_together([tagger, other], texts[:2]) == spans[:2]


@pytest.mark.parametrize("weights", [[1], [0, 0], [1, -1], [np.nan, 1]])
def test_wrong_weights_are_named(weights):
    with pytest.raises(ValueError, match="weights must be a number of at least 0 for each of 2 taggers"):
        predict_together([FIRST, SECOND], [["a"]], weights)


def test_taggers_must_fit_together():
    with pytest.raises(ValueError, match=r"taggers must have one label of the same classes .*'B-X'.*'B-Y'"):
        predict_together([FIRST, Fixed([], classes=["B-Y", "I-Y", "O"])], [["a"]])
