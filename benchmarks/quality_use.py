"""What a network that was trained on War and Peace is worth in use: with caches, n-grams, adaptation; and its grammar.

FASTRNN_DATA=… python -m benchmarks.quality_use MODEL mixture      test perplexity beside and with other models
FASTRNN_DATA=… python -m benchmarks.quality_use MODEL dynamic      test perplexity of dynamic evaluation
FASTRNN_DATA=… python -m benchmarks.quality_use MODEL agreement    Marvin and Linzen's pairs, beside the 5-gram

MODEL is a file that `python -m benchmarks.quality words_best --save MODEL` wrote. What is chosen is chosen on the
validation text.
"""

import argparse
import os
import pathlib
import time

from benchmarks.quality import read_words
from fastrnn import (
    CacheLanguageModel,
    DynamicEvaluation,
    InterpolatedLanguageModel,
    NeuralCacheLanguageModel,
    NGramLanguageModel,
    RNNLanguageModel,
)
from fastrnn.datasets import load_marvin_linzen
from fastrnn.inspection import minimal_pairs

THETAS, WEIGHTS = (0.1, 0.3, 0.6, 1.0), (0.05, 0.1, 0.2)
RATES = {"sgd": (0.03, 0.1, 0.3), "rms": (1e-4, 3e-4, 1e-3)}
DECAYS = {"sgd": (0.0,), "rms": (0.0, 0.01)}


def five_grams(model, train):
    """Return the 5-gram model of the network's words."""
    return NGramLanguageModel(5, tokenizer="whitespace", vocabulary=model.vocabulary_).fit(train)


def best(candidates, text):
    """Return the model of several that predicts a text best."""
    return min(candidates, key=lambda model: model.perplexity(text))


def mixture(model, train, valid, test):
    """Print perplexities of the network, the 5-gram, caches, and all of them mixed."""
    shared = {"tokenizer": "whitespace", "vocabulary": model.vocabulary_}
    cached = best(
        [NeuralCacheLanguageModel(model, 2000, theta, weight) for theta in THETAS for weight in WEIGHTS], valid
    )
    parts = {
        "network": model,
        "5-gram": five_grams(model, train),
        "cache of 2,000 words": CacheLanguageModel(2000, **shared).fit(),
        "neural cache": NeuralCacheLanguageModel(model, 2000, cached.theta, weight=1.0),
    }
    for name in ("network", "5-gram"):
        print(f"{name}: test perplexity {parts[name].perplexity(test):.2f}")
    print(f"with a neural cache of 2,000, theta {cached.theta}, weight {cached.weight}: {cached.perplexity(test):.2f}")
    for names in (("network", "5-gram"), ("network", "5-gram", "cache of 2,000 words"), tuple(parts)):
        mixed = InterpolatedLanguageModel([parts[name] for name in names]).fit(valid)
        weights = ", ".join(f"{weight:.2f} {name}" for name, weight in zip(names, mixed.weights_, strict=True))
        print(f"{weights}: {mixed.perplexity(test):.2f}")


def dynamic(model, train, valid, test):
    """Print perplexities of dynamic evaluation, options chosen on a part of the validation text."""
    print(f"as it is: test perplexity {model.perplexity(test):.2f}")
    for rule, rates in RATES.items():
        scales = DynamicEvaluation(model, rule=rule).fit(train)
        candidates = []
        for rate in rates:
            for decay in DECAYS[rule]:
                candidates.append(DynamicEvaluation(model, rate, decay, rule))
                if rule == "rms":
                    candidates[-1].scales_ = scales.scales_
        chosen, seconds = best(candidates, valid[:500]), time.perf_counter()
        value = chosen.perplexity(test)
        print(f"{rule}, learning rate {chosen.learning_rate}, decay {chosen.decay}: {value:.2f}, "
              f"{value.n_tokens / (time.perf_counter() - seconds):,.0f} tokens a second")  # fmt: skip


def agreement(model, train, valid, test):
    """Print how many of Marvin and Linzen's pairs each model judges right, case by case.

    Their sentences get the full stop without which no sentence of the corpus ends.
    """
    pairs = load_marvin_linzen()
    good, bad = ([f"{sentence} ." for sentence in sentences] for sentences in (pairs.good, pairs.bad))
    results = [
        minimal_pairs(judge, good, bad, pairs.template, oov="exclude") for judge in (model, five_grams(model, train))
    ]
    network, ngrams = results
    print(f"{network.n_pairs:,} pairs of known words; network {network.accuracy:.1%}, 5-gram {ngrams.accuracy:.1%}")
    print("| case | pairs | network | ties | 5-gram | ties |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for k, name in enumerate(network.groups):
        if network.group_counts[k]:
            row = (f"{result.group_accuracies[k]:.1%} | {result.group_ties[k]}" for result in results)
            print(f"| {name} | {network.group_counts[k]} | {' | '.join(row)} |")


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("what", choices=["mixture", "dynamic", "agreement"])
    arguments = parser.parse_args()
    if "FASTRNN_DATA" not in os.environ:
        parser.error("the environment variable FASTRNN_DATA must name the folder of the corpora")
    texts = read_words(pathlib.Path(os.environ["FASTRNN_DATA"]))
    run = {"mixture": mixture, "dynamic": dynamic, "agreement": agreement}[arguments.what]
    run(RNNLanguageModel.load(arguments.model), *texts)


if __name__ == "__main__":
    main()
