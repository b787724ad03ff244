"""An estimator with a target for each step, on the base class of all estimators of sequences."""

import numpy as np
import pytest

from fastrnn.estimators import targets
from fastrnn.estimators.base import BaseSequenceEstimator
from fastrnn.layers import Softmax
from fastrnn.networks.heads import SoftmaxHead
from fastrnn.networks.recurrent import RecurrentEncoder
from fastrnn.networks.sequence import Batch


class TagsTarget:
    """A tag for each step; behind the end of a sequence stands -1."""

    kind = "tags"

    def __init__(self, classes):
        self.classes = classes
        self.n_outputs = len(classes)

    def encode(self, y):
        encoded = np.full((len(y), max(map(len, y))), -1)
        for row, tags in zip(encoded, y, strict=True):
            row[: len(tags)] = np.searchsorted(self.classes, tags)
        return encoded

    def strata(self, encoded):
        return np.zeros(len(encoded), np.int64)

    def weights(self, encoded, class_weight):
        return np.ones(len(encoded))

    def get_learned(self):
        return {"kind": self.kind, "classes": self.classes}, {}

    @classmethod
    def from_learned(cls, content, arrays):
        return cls(content["classes"])


class TagsHead(SoftmaxHead):
    """A softmax at each step; targets are (B, T) or have more columns, which are -1."""

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        return super().loss_and_gradient(h, targets[:, : len(h)].T, weights)

    def loss(self, h, targets, weights, lengths=None):
        return super().loss(h, targets[:, : len(h)].T, weights)


class TaggerNetwork(RecurrentEncoder):
    def __init__(self, vectors, n_outputs, random_state):
        super().__init__()
        options = {"random_state": random_state}
        self.add_encoder(0, vectors, cell="rnn", hidden_size=8, dropout=0.0, embedding_dropout=0.0,
                         freeze_embedding=False, penalties=(0.0, 0.0), options=options)  # fmt: skip
        self.add_input_dropout(0.0, False, options)
        self.add_head(TagsHead(Softmax(8, n_outputs, **options)))

    def encode(self, batch, training=False):
        x, lengths = batch.sequences.padded(batch.rows)
        return self.read(self.embed(x, training), lengths, training), lengths

    def encode_training(self, batch):
        return self.encode(batch, training=True)

    def encode_backward(self, dh, scale):
        self.embed_backward(self.read_backward(dh, scale))

    def loss(self, batch):
        h, lengths = self.encode(batch)
        return self.head.loss(h, batch.targets, 1.0, lengths)

    def outputs(self, batch):
        return self.head.predict(*self.encode(batch))


class Tagger(BaseSequenceEstimator):
    def __init__(self, input="tokens", tokenizer="whitespace", lowercase=False, normalize=None, max_length=None,
                 truncation="end", max_iter=20, random_state=0):  # fmt: skip
        self.input, self.tokenizer, self.lowercase, self.normalize = input, tokenizer, lowercase, normalize
        self.max_length, self.truncation = max_length, truncation
        self.max_iter, self.random_state = max_iter, random_state

    # An estimator for users has these as parameters too.
    encoding, embedding, early_stopping = "utf-8", None, False
    min_count, max_vocab, embedding_size, dropout, warm_start = 1, None, 8, 0.0, False
    optimizer, learning_rate_init, alpha, clip_norm, batch_size = "adam", 0.02, 0.0, 1.0, 8
    validation_fraction, n_iter_no_change, tol = 0.2, 100, 0.0
    n_jobs, device, precision, verbose = 1, "cpu", "highest", 0

    def _learn_target(self, y, classes):
        return TagsTarget(sorted({tag for tags in y for tag in tags}))

    def _encode_targets(self, target, y, sequences):
        if [len(tags) for tags in y] != sequences.full_lengths.tolist():
            raise ValueError("y must have a tag for each step.")
        pairs = zip(y, sequences.lengths, strict=True)
        return target.encode([tags[:n] if self.truncation == "end" else tags[-n:] for tags, n in pairs])

    def _make_network(self, reader, target, vectors, random_state):
        return TaggerNetwork(vectors, target.n_outputs, random_state)

    def fit(self, X, y, X_val=None, y_val=None, checkpoint=None):
        return self._fit(X, y, None, X_val, y_val, checkpoint, None)

    def partial_fit(self, X, y):
        return self._partial_fit(X, y, None, None)

    def predict(self, X):
        sequences = self._read(X)
        predicted = [None] * len(sequences)
        for rows in self._groups(sequences, np.arange(len(sequences))):
            best = self.network_.outputs(Batch(sequences, rows)).argmax(axis=-1)
            for b, row in enumerate(rows):
                predicted[row] = [self._target.classes[k] for k in best[: sequences.lengths[row], b]]
        return predicted


RANDOM = np.random.default_rng(0)
X = [[str(word) for word in RANDOM.integers(10, size=n)] for n in RANDOM.integers(1, 7, size=40)]
Y = [["even" if int(word) % 2 == 0 else "odd" for word in words] for words in X]


def test_it_predicts_a_tag_for_each_step_of_sequences_of_any_length(tmp_path, monkeypatch):
    monkeypatch.setitem(targets.TARGETS, "tags", TagsTarget)
    model = Tagger().fit(X, Y, checkpoint=tmp_path / "checkpoint")
    assert model.predict(X) == Y
    assert model.predict([["1", "2"], ["4"]]) == [["odd", "even"], ["even"]]
    model.save(tmp_path / "model")
    assert Tagger.load(tmp_path / "model").predict(X) == Y


def test_scores_of_validation_are_means_over_the_steps():
    model = Tagger(max_iter=2).fit(X, Y, X_val=X, y_val=Y)
    best = model.network_.outputs(Batch(model._read(X), np.arange(len(X))))  # (T, B, 2)
    chosen = [best[t, b, int(tag == "odd")] for b, tags in enumerate(Y) for t, tag in enumerate(tags)]
    assert model.validation_scores_[-1] == pytest.approx(np.log(chosen).mean(), rel=1e-5)


@pytest.mark.parametrize("truncation", ["start", "end"])
def test_targets_are_cut_as_the_sequences_are(truncation):
    with pytest.warns(UserWarning, match="longer than max_length"):
        model = Tagger(max_length=2, truncation=truncation).fit(X, Y)
    short = [words[:2] for words in X]
    assert model.predict(short) == [tags[:2] for tags in Y]


def test_every_call_compares_the_steps_with_their_targets():
    wrong = [*Y[:-1], Y[-1] + ["odd"]]
    model = Tagger(max_iter=1)
    for call in (lambda: model.fit(X, wrong), lambda: model.fit(X, Y, X, wrong),
                 lambda: model.fit(X, Y).partial_fit(X, wrong)):  # fmt: skip
        with pytest.raises(ValueError, match="a tag for each step"):
            call()
