"""How well models predict real text: the exact calls behind the figures.

FASTRNN_DATA=… python -m benchmarks.quality NAME... [--checkpoint FILE] [--save FILE] [--verbose]

ngrams            War and Peace, 3-gram and 5-gram
words             War and Peace, 2x200 LSTM as in the matched run of torch, 10 epochs
words_best        War and Peace, the best recipe for about half an hour on two cores
characters        tinyshakespeare, 2x128 LSTM without regularizers, 13 epochs
characters_best   tinyshakespeare, the best recipe for about half an hour on two cores
mr-mean mr-rnn …  accuracy of classifiers, see `quality_classifiers`
btc-crf btc-rnn … entity F1 and accuracy of taggers, see `quality_tagging`
dates g2p-english … exact matches and other figures of translators, see `quality_translation`
vowels-joined     who speaks? utterances of JapaneseVowels joined, a speaker for every frame

With `--checkpoint` a network's training writes this file once a minute and, started again, goes on from it.
"""

import argparse
import logging
import math
import os
import pathlib
import time

from benchmarks import quality_classifiers, quality_tagging, quality_translation
from fastrnn import NGramLanguageModel, RNNLanguageModel

MATCHED_WORDS = {
    "embedding_size": 200, "hidden_size": 200, "num_layers": 2, "tie_weights": True, "dropout": 0.4, "batch_size": 20,
    "bptt_length": 35, "max_iter": 10, "tokenizer": "whitespace", "random_state": 0,
}  # fmt: skip
BEST_WORDS = {
    **MATCHED_WORDS, "hidden_size": 400, "dropout": 0.3, "input_dropout": 0.4, "output_dropout": 0.4,
    "locked_dropout": True, "weight_dropout": 0.2, "embedding_dropout": 0.1, "schedule": "cosine", "warmup": 200,
    "max_iter": 16, "n_iter_no_change": 16,
}  # fmt: skip
MATCHED_CHARACTERS = {
    "num_layers": 2, "tokenizer": "chars", "batch_size": 50, "bptt_length": 50, "clip_norm": 5.0, "max_iter": 13,
    "schedule": "constant", "early_stopping": False, "random_state": 0,
}  # fmt: skip
BEST_CHARACTERS = {
    "embedding_size": 64, "hidden_size": 512, "num_layers": 2, "tokenizer": "chars", "batch_size": 32,
    "bptt_length": 64, "dropout": 0.5, "input_dropout": 0.0, "schedule": "cosine", "warmup": 200,
    "max_iter": 14, "n_iter_no_change": 14, "random_state": 0,
}  # fmt: skip


def ngrams(folder):
    """Print the test perplexity of n-gram models of War and Peace."""
    train, _, test = read_words(folder)
    for order in (3, 5):
        model = NGramLanguageModel(order=order, tokenizer="whitespace").fit(train)
        print(f"War and Peace, {order}-gram: test perplexity {model.perplexity(test):.2f}")


def read_words(folder):
    """Return the three parts of War and Peace."""
    return [(folder / "warandpeace" / f"{part}.txt").read_text().splitlines() for part in ("train", "valid", "test")]


def words(folder, options, **fitting):
    """Print perplexities of a network on War and Peace: after each epoch (valid), and at the end; return the model."""
    train, valid, test = read_words(folder)
    model, seconds = RNNLanguageModel(**options), time.perf_counter()
    model.fit(train, X_val=valid, **fitting)
    seconds = time.perf_counter() - seconds
    curve = " ".join(f"{math.exp(-score):.1f}" for score in model.validation_scores_)
    print(f"War and Peace, {model.n_parameters_:,} parameters, {seconds:.0f} s: valid perplexity by epoch {curve}")
    print(f"valid {model.perplexity(valid):.2f}, test {model.perplexity(test):.2f}")
    return model


def characters(folder, options, **fitting):
    """Print the validation loss of a network on tinyshakespeare after each epoch; return the model."""
    text = (folder / "tinyshakespeare" / "input.txt").read_text()
    model, seconds = RNNLanguageModel(**options), time.perf_counter()
    model.fit([text[:1003854]], X_val=[text[1003854:]], **fitting)
    seconds = time.perf_counter() - seconds
    curve = " ".join(f"{-score:.3f}" for score in model.validation_scores_)
    print(f"tinyshakespeare, {model.n_parameters_:,} parameters, {seconds:.0f} s: validation {curve} nats a character")
    return model


NETWORKS = {
    "words": (words, MATCHED_WORDS),
    "words_best": (words, BEST_WORDS),
    "characters": (characters, MATCHED_CHARACTERS),
    "characters_best": (characters, BEST_CHARACTERS),
}


def train_network(name, folder, arguments):
    """Train a network as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run, options = NETWORKS[name]
    minutes = 1 if arguments.checkpoint else None
    options = {**options, "verbose": int(arguments.verbose)}
    model = run(folder, options, checkpoint=arguments.checkpoint, checkpoint_minutes=minutes)
    if arguments.save:
        model.save(arguments.save)


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[
        "ngrams", *NETWORKS, *quality_classifiers.BENCHMARKS, *quality_tagging.BENCHMARKS, "vowels-joined",
        *quality_translation.BENCHMARKS,
    ])  # fmt: skip
    parser.add_argument("--parts", type=int, help="take only so many folds or seeds")
    parser.add_argument("--checkpoint", metavar="FILE")
    parser.add_argument("--save", metavar="FILE", help="keep the model")
    parser.add_argument("--verbose", action="store_true", help="show a progress bar")
    arguments = parser.parse_args()
    if "FASTRNN_DATA" not in os.environ:
        parser.error("the environment variable FASTRNN_DATA must name the folder of the corpora")
    folder = pathlib.Path(os.environ["FASTRNN_DATA"])
    for name in arguments.what:
        if name in quality_classifiers.BENCHMARKS:
            quality_classifiers.accuracy(name, arguments.parts)
        elif name in quality_tagging.BENCHMARKS:
            quality_tagging.figures(name, arguments.parts)
        elif name in quality_translation.BENCHMARKS:
            quality_translation.BENCHMARKS[name](arguments.parts)
        elif name == "vowels-joined":
            quality_tagging.vowels(arguments.parts)
        elif name == "ngrams":
            ngrams(folder)
        else:
            train_network(name, folder, arguments)


if __name__ == "__main__":
    main()
