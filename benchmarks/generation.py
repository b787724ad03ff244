"""How long a language model takes to propose words, and how fast it writes.

python -m benchmarks.generation                    a 2x256 LSTM of 10,000 words
python -m benchmarks.generation --cell gru --hidden-size 512 --vocabulary 50000
"""

import argparse
import itertools
import time

import numpy as np

from fastrnn import RNNLanguageModel, Vocabulary

_SYLLABLES = [c + v for c in "bcdfghklmnprst" for v in "aeiou"]


def make_model(cell, hidden_size, n_words, n_jobs):
    """Return a network of two layers, hardly trained (its speed does not depend on that), and its words."""
    words = ["".join(parts) for parts in itertools.islice(itertools.product(_SYLLABLES, repeat=3), n_words - 4)]
    model = RNNLanguageModel(
        cell, hidden_size, hidden_size, 2, vocabulary=Vocabulary.from_tokens(words), max_iter=1, early_stopping=False,
        random_state=0, n_jobs=n_jobs,
    )  # fmt: skip
    return model.fit([words[:40]]), words


def milliseconds(call, repeats):
    """Return the median and the 95th percentile of the time of a call, after the first, which compiles."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return np.percentile(times, [50, 95])


def main(arguments):
    """Measure and print."""
    model, words = make_model(arguments.cell, arguments.hidden_size, arguments.vocabulary, arguments.jobs)
    name = f"2x{arguments.hidden_size} {arguments.cell}, {arguments.vocabulary:,} words"
    context = " ".join(words[7:17])
    state = model.read(context)
    for case, call in {
        "the next word after 10 words": lambda: model.complete(f"{context} "),
        "a word begun after 10 words": lambda: model.complete(f"{context} ba"),
        "the next word after a state": lambda: model.complete("", state=state),
        "a beam search, 10 tokens, width 5": lambda: model.beam_search(context, max_length=10),
    }.items():
        median, slow = milliseconds(call, arguments.repeats)
        print(f"{name}: {case}: median {median:.2f} ms, 95% within {slow:.2f} ms")
    for n_texts in (1, 16):
        model.sample(n_texts, max_length=2)  # which compiles
        begin = time.perf_counter()
        drawn = sum(len(text.split()) for text in model.sample(n_texts, max_length=1000, random_state=0))
        print(f"{name}: {drawn / (time.perf_counter() - begin):,.0f} tokens a second drawn, {n_texts} at a time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=10_000)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--repeats", type=int, default=200)
    main(parser.parse_args())
