"""Entity F1 and accuracy of the taggers on real data, and speakers of frames, for `benchmarks.quality`.

Models are seeded by fixed numbers: a figure comes out again to the last digit on the same machine.
"""

import time

import numpy as np

from fastrnn import CRFTagger, RNNTagger
from fastrnn.datasets import load_btc, load_glove, load_japanese_vowels, load_ud_ewt
from fastrnn.metrics import entity_f1, tag_accuracy
from fastrnn.tagging import predict_together

N_SEEDS = 3  # models of a recurrent tagger; the median counts
# Chosen on dev: NER has few labels that say something, and needs more dropout.
FOR_TWEETS = {"hidden_size": 200, "dropout": 0.6, "input_dropout": 0.5, "char_hidden_size": 25, "max_iter": 12}
FOR_PARTS_OF_SPEECH = {"hidden_size": 200, "dropout": 0.4, "input_dropout": 0.1, "word_dropout": 0.5, "max_iter": 10}


def with_glove(seed, **options):
    """Return a recurrent tagger that begins with pretrained word vectors."""
    glove = load_glove()
    return RNNTagger(embedding=(glove.words, glove.vectors), random_state=seed, **options)


class Both:
    """A conditional random field and a recurrent tagger together."""

    def __init__(self, seed):
        self.taggers = CRFTagger(), with_glove(seed, **FOR_TWEETS)

    def fit(self, X, y):
        """Fit both; return self."""
        for tagger in self.taggers:
            tagger.fit(X, y)
        return self

    def predict(self, X):
        """Return the labels of both together."""
        return predict_together(self.taggers, X)


# What is measured: the data, the metric, the model for a seed, and the number of seeds.
BENCHMARKS = {
    "btc-crf": (load_btc, entity_f1, lambda seed: CRFTagger(), 1),  # nothing is drawn
    "ud-ewt-crf": (load_ud_ewt, tag_accuracy, lambda seed: CRFTagger(), 1),
    "btc-rnn": (load_btc, entity_f1, lambda seed: with_glove(seed, **FOR_TWEETS), N_SEEDS),
    "btc-both": (load_btc, entity_f1, Both, N_SEEDS),
    "ud-ewt-rnn": (load_ud_ewt, tag_accuracy, lambda seed: with_glove(seed, **FOR_PARTS_OF_SPEECH), N_SEEDS),
}


def figures(name, n_parts=None):
    """Print the figures of each seed on dev and test, and their medians."""
    load, metric, make, n_seeds = BENCHMARKS[name]
    data, found = load(), []
    for seed in range(min(n_seeds, n_parts or n_seeds)):
        begin = time.perf_counter()
        model = make(seed).fit(data.train.data, data.train.target)
        seconds = time.perf_counter() - begin
        scores = [metric(part.target, model.predict(part.data)) for part in (data.dev, data.test)]
        found.append([*scores, seconds])
        print(f"{name} {seed}: {metric.__name__} dev {scores[0]:.2%}, test {scores[1]:.2%}, fit {seconds:.1f} s",
              flush=True)  # fmt: skip
    dev, test, seconds = np.median(found, axis=0)
    print(f"{name}: median {metric.__name__} dev {dev:.2%}, test {test:.2%} of {len(found)}, fit {seconds:.1f} s")


def joined(utterances, speakers, n, random):
    """Return n series, each of 3 to 5 utterances of different speakers, and the speaker of every frame."""
    X, y, names = [], [], np.unique(speakers)
    for _ in range(n):
        chosen = random.choice(names, random.integers(3, 6), replace=False)
        rows = [random.choice(np.flatnonzero(speakers == name)) for name in chosen]
        X.append(np.concatenate([utterances[row] for row in rows]))
        y.append(np.concatenate([np.repeat(speakers[row], len(utterances[row])) for row in rows]))
    return X, y


def boundary_f1(y_true, y_pred, tolerance):
    """Return the F1 of the frames at which the label changes; a found one is right up to `tolerance` frames away."""
    true, found, hits, covered = 0, 0, 0, 0
    for labels, guess in zip(y_true, y_pred, strict=True):
        right, guessed = (np.flatnonzero(part[1:] != part[:-1]) for part in (labels, guess))
        near = abs(right[:, None] - guessed) <= tolerance
        true, found = true + len(right), found + len(guessed)
        hits, covered = hits + near.any(axis=0).sum(), covered + near.any(axis=1).sum()
    precision, recall = hits / max(found, 1), covered / max(true, 1)
    return 2 * precision * recall / max(precision + recall, 1e-30)


def vowels(n_seeds=None):
    """Print how many frames of joined utterances have the right speaker: training and test data stay apart."""
    train, test = load_japanese_vowels("train"), load_japanese_vowels("test")
    random, found = np.random.default_rng(0), []
    X, y = joined(train.data, train.target, 400, random)
    X_test, y_test = joined(test.data, test.target, 200, random)
    for seed in range(n_seeds or N_SEEDS):
        begin = time.perf_counter()
        model = RNNTagger(input="series", max_iter=30, random_state=seed).fit(X, y)
        seconds, predicted = time.perf_counter() - begin, model.predict(X_test)
        found.append(np.mean(np.concatenate(predicted) == np.concatenate(y_test)))
        exact, near = (boundary_f1(y_test, predicted, tolerance) for tolerance in (0, 1))
        print(f"vowels-joined {seed}: {found[-1]:.2%} of the frames, F1 of boundaries {exact:.2%}, up to a frame away "
              f"{near:.2%}, fit {seconds:.1f} s", flush=True)  # fmt: skip
    print(f"vowels-joined: median {np.median(found):.2%} of the frames")
