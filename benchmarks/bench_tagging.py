"""Taggers and what belongs to them, on random sentences."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastrnn import CRFTagger, RNNStepRegressor, RNNTagger
from fastrnn.layers import CRF
from fastrnn.metrics import entity_f1, entity_report
from fastrnn.tagging.sparse.features import AttributeReader

N_SENTENCES, N_TOKENS = 2000, 47_000


def random_tags(rng, lengths):
    """Return tags of sentences: a tenth of the tokens begin an entity, half of the others in one go on."""
    starts = rng.random(lengths.sum()) < 0.1
    kinds = rng.integers(0, 4, len(starts)).tolist()
    tags, inside = [], None
    for start, kind, goes_on in zip(starts.tolist(), kinds, rng.random(len(starts)) < 0.5, strict=True):
        inside = kind if start else inside if goes_on else None
        tags.append("O" if inside is None else f"{'B' if start else 'I'}-{inside}")
    return [tags[end - length : end] for length, end in zip(lengths, np.cumsum(lengths), strict=True)]


class EntityF1:
    """Metrics of 47,000 tokens."""

    def setup(self):
        rng = np.random.default_rng(0)
        lengths = rng.multinomial(N_TOKENS, np.full(N_SENTENCES, 1 / N_SENTENCES))
        self.y_true, self.y_pred = random_tags(rng, lengths), random_tags(rng, lengths)

    def time_entity_f1(self):
        entity_f1(self.y_true, self.y_pred)

    def time_entity_report(self):
        entity_report(self.y_true, self.y_pred)


class Characters:
    """1,600 tokens in 100 sentences, of which half are new forms; 2 × 64 units."""

    params = ("rnn", "ngrams", None)
    param_names = ("char_encoder",)

    def setup(self, char_encoder):
        random = np.random.default_rng(0)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyzAB12-"))
        forms = ["".join(random.choice(letters, random.integers(2, 12))) for _ in range(1000)]
        places = np.minimum(random.zipf(1.3, (100, 16)), 1000) - 1
        self.X = [[forms[i] for i in row] for row in places]
        self.y = [["digit" if "1" in form or "2" in form else "word" for form in row] for row in self.X]
        self.model = RNNTagger(hidden_size=64, char_encoder=char_encoder, random_state=0)
        self.model.partial_fit(self.X, self.y).predict(self.X)  # compiles

    def time_partial_fit(self, char_encoder):
        self.model.partial_fit(self.X, self.y)

    def time_predict(self, char_encoder):
        self.model.predict(self.X)


class Taggers:
    """1,600 tokens in 100 sentences, words alone; 2 × 128 units, on one thread."""

    params = ("crf", "softmax")
    param_names = ("output",)

    def setup(self, output):
        rng = np.random.default_rng(0)
        self.X = [[f"w{i}" for i in row] for row in rng.integers(0, 500, (100, 16))]
        self.y = random_tags(rng, np.full(100, 16))
        options = {"output": output, "char_encoder": None, "max_iter": 1, "n_jobs": 1, "random_state": 0}
        self.model = RNNTagger(**options).fit(self.X, self.y)  # compiles
        self.time_predict(output)
        self.time_predict_proba(output)

    def time_fit(self, output):
        self.model.fit(self.X, self.y)

    def peakmem_fit(self, output):
        self.model.fit(self.X, self.y)

    def time_predict(self, output):
        self.model.predict(self.X)

    def time_predict_proba(self, output):
        self.model.predict_proba(self.X)

    def time_predict_one(self, output):
        self.model.predict(self.X[:1])


class ConditionalRandomField:
    """25 steps of 32 sequences, on one thread."""

    params = (5, 9, 23, 50)
    param_names = ("tags",)

    def setup(self, tags):
        rng = np.random.default_rng(0)
        self.emissions, self.tags = rng.standard_normal((25, 32, tags)).astype("f4"), rng.integers(tags, size=(25, 32))
        self.layer = CRF(tags, random_state=0, n_jobs=1)
        self.time_loss_and_gradient(tags)  # compiles
        self.time_decode(tags)

    def time_loss_and_gradient(self, tags):
        self.layer.loss_and_gradient(self.emissions, self.tags)

    def time_marginals(self, tags):
        self.layer.marginals(self.emissions)

    def time_decode(self, tags):
        self.layer.decode(self.emissions)


class SingleSteps:
    """100 steps of one series of 12 numbers, 128 units; labels one by one, and sets of labels that are drawn."""

    params = ("softmax", "crf", "labels")
    param_names = ("output",)

    def setup(self, output):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((20, 30, 12))
        self.model = RNNTagger(output="softmax" if output == "labels" else output, bidirectional=False, input="series",
                               max_iter=1, random_state=0)  # fmt: skip
        self.model.fit(X, X > 0 if output == "labels" else (X[:, :, :9].argmax(axis=2)))
        self.steps = list(rng.standard_normal((100, 12)))
        self.time_advance(output)  # compiles

    def time_advance(self, output):
        state = self.model.initial_state()
        for step in self.steps:
            _, state = self.model.advance(state, step)


class Series:
    """An epoch, and predictions, of 64 series of 100 steps of 12 numbers; 128 units in both directions."""

    params = ("crf", "labels", "values")
    param_names = ("output",)

    def setup(self, output):
        X = self.X = np.random.default_rng(0).standard_normal((64, 100, 12))
        self.y = {"crf": X[:, :, :9].argmax(axis=2), "labels": X > 0, "values": X}[output]
        self.model = (
            RNNStepRegressor(random_state=0) if output == "values" else RNNTagger(input="series", random_state=0)
        )
        self.model.partial_fit(self.X, self.y).predict(self.X)  # compiles

    def time_partial_fit(self, output):
        self.model.partial_fit(self.X, self.y)

    def time_predict(self, output):
        self.model.predict(self.X)


class Attributes:
    """20,000 tokens in 1,000 sentences, as attributes: 44 of each by the template, or 12 of a dictionary."""

    params = ("tokens", "tuples", "dictionaries")
    param_names = ("elements",)

    def setup(self, elements):
        random = np.random.default_rng(0)
        words = [f"Word{place}" for place in range(5000)]
        places = np.minimum(random.zipf(1.3, (1000, 20)), len(words)) - 1
        self.X = [[words[place] for place in row] for row in places]
        if elements == "tuples":
            self.X = [[(word, f"T{len(word)}") for word in sentence] for sentence in self.X]
        elif elements == "dictionaries":
            names = [f"name{k}" for k in range(12)]
            self.X = [[{name: word for name in names} for word in sentence] for sentence in self.X]
        self.reader, _ = AttributeReader.learn(self.X, {"features": "default"})

    def time_learn(self, elements):
        AttributeReader.learn(self.X, {"features": "default"})

    def time_read(self, elements):
        self.reader.read(self.X)


class SparseFeatures:
    """CRFTagger on 47,000 tokens, 20 iterations, on one thread."""

    params = (0.0, 0.1)
    param_names = ("c1",)

    def setup(self, c1):
        rng = np.random.default_rng(0)
        lengths = rng.multinomial(N_TOKENS, np.full(N_SENTENCES, 1 / N_SENTENCES))
        self.y = random_tags(rng, lengths)
        words = iter(rng.zipf(1.3, N_TOKENS).tolist())
        self.X = [[f"{label[:1]}{next(words) % 5000}" for label in labels] for labels in self.y]
        self.model = CRFTagger(c1=c1, n_jobs=1, max_iter=20, n_iter_no_change=20, tol=0.0)
        self.time_fit(c1)  # compiles
        self.model.predict_proba(self.X)

    def time_fit(self, c1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X, self.y)

    def peakmem_fit(self, c1):
        self.time_fit(c1)

    def time_predict(self, c1):
        self.model.predict(self.X)

    def time_predict_proba(self, c1):
        self.model.predict_proba(self.X)
