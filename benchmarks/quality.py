"""How well models predict real text: the exact calls behind the figures.

FASTRNN_DATA=… python -m benchmarks.quality ngrams            War and Peace, 3-gram and 5-gram
FASTRNN_DATA=… python -m benchmarks.quality characters        tinyshakespeare, 2-layer LSTM, 5 epochs
FASTRNN_DATA=… python -m benchmarks.quality mr-mean mr-rnn    accuracy of classifiers, see `quality_classifiers`
"""

import argparse
import logging
import os
import pathlib
import time

from benchmarks import quality_classifiers
from fastrnn import NGramLanguageModel, RNNLanguageModel


def ngrams(folder):
    """Print the test perplexity of n-gram models of War and Peace."""
    train, test = ((folder / "warandpeace" / f"{part}.txt").read_text().splitlines() for part in ("train", "test"))
    for order in (3, 5):
        model = NGramLanguageModel(order=order, tokenizer="whitespace").fit(train)
        print(f"War and Peace, {order}-gram: test perplexity {model.perplexity(test):.2f}")


def characters(folder, epochs=5):
    """Print the validation loss of a character LSTM on tinyshakespeare after each epoch."""
    text = (folder / "tinyshakespeare" / "input.txt").read_text()
    model = RNNLanguageModel(
        num_layers=2, tokenizer="chars", batch_size=50, bptt_length=50, learning_rate_init=2e-3, clip_norm=5.0,
        max_iter=epochs, early_stopping=False, random_state=0,
    )  # fmt: skip
    begin = time.perf_counter()
    model.fit([text[:1003854]], X_val=[text[1003854:]])
    seconds = time.perf_counter() - begin
    curve = " ".join(f"{-score:.3f}" for score in model.validation_scores_)
    print(f"tinyshakespeare, 2x128 LSTM: validation {curve} nats a character, {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    language_models = {"ngrams": ngrams, "characters": characters}
    parser.add_argument("what", nargs="+", choices=[*language_models, *quality_classifiers.BENCHMARKS])
    parser.add_argument("--parts", type=int, help="take only so many folds or seeds of a classifier")
    arguments = parser.parse_args()
    if "FASTRNN_DATA" not in os.environ:
        parser.error("the environment variable FASTRNN_DATA must name the folder of the corpora")
    for name in arguments.what:
        if name in language_models:
            logging.basicConfig(level=logging.INFO, format="%(message)s")
            language_models[name](pathlib.Path(os.environ["FASTRNN_DATA"]))
        else:
            quality_classifiers.accuracy(name, arguments.parts)
