"""Entity F1 and accuracy of the taggers on real data, for `benchmarks.quality`.

Models are seeded by fixed numbers: a figure comes out again to the last digit on the same machine.
"""

import time

import numpy as np

from fastrnn import CRFTagger, RNNTagger
from fastrnn.datasets import load_btc, load_glove, load_ud_ewt
from fastrnn.metrics import entity_f1, tag_accuracy

N_SEEDS = 3  # models of a recurrent tagger; the median counts


def with_glove(seed, **options):
    """Return a recurrent tagger that begins with pretrained word vectors."""
    glove = load_glove()
    return RNNTagger(embedding=(glove.words, glove.vectors), random_state=seed, **options)


# What is measured: the data, the metric, the model for a seed, and the number of seeds. Options were chosen on dev.
BENCHMARKS = {
    "btc-crf": (load_btc, entity_f1, lambda seed: CRFTagger(), 1),  # nothing is drawn
    "ud-ewt-crf": (load_ud_ewt, tag_accuracy, lambda seed: CRFTagger(), 1),
    "btc-rnn": (load_btc, entity_f1, with_glove, N_SEEDS),
    "ud-ewt-rnn": (load_ud_ewt, tag_accuracy, with_glove, N_SEEDS),
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
