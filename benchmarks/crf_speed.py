"""Print how fast CRFsuite and `CRFTagger` learn and tag, from the same attributes and with the same stopping rules.

python -m benchmarks.crf_speed [--data btc|ud_ewt] [--c1 0] [--c2 0.1] [--threads 1 2] [--rounds 3]

FASTRNN_DATA names the folder with the corpora. Both sides take lists of strings, the attributes of our template.
Figures are medians of rounds in which they take turns in one process. CRFsuite, which the extra `parity` brings, has
one thread.
"""

import argparse
import itertools
import pathlib
import statistics
import tempfile
import time

from fastrnn import CRFTagger
from fastrnn.datasets import load_btc, load_ud_ewt

TAGGINGS = 5  # of the test data in each round


def seconds(function):
    """Return the seconds that one call takes, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def attribute_lists(reader, X):
    """Return the attributes that a reader finds, as lists of strings for each element."""
    names, sequences = reader.attributes, reader.read(X)
    bounds = itertools.pairwise(sequences.element_offsets.tolist())
    elements = [[names[k] for k in sequences.attributes[begin:end]] for begin, end in bounds]
    return [elements[begin:end] for begin, end in itertools.pairwise(sequences.offsets.tolist())]


def crfsuite_fit(path, X, y, c1, c2):
    """Train CRFsuite; return its tagger and the last iteration's figures."""
    import pycrfsuite  # here, since asv imports every file of this folder, also where there is none

    trainer = pycrfsuite.Trainer("lbfgs", verbose=False)
    trainer.set_params({"c1": c1, "c2": c2, "feature.possible_transitions": True})
    for elements, labels in zip(X, y, strict=True):
        trainer.append(elements, labels)
    trainer.train(str(path))
    tagger = pycrfsuite.Tagger()
    tagger.open(str(path))
    return tagger, trainer.logparser.last_iteration


def items_of(X):
    """Return sequences as CRFsuite holds them."""
    import pycrfsuite

    return [pycrfsuite.ItemSequence(elements) for elements in X]


def tag_items(tagger, items):
    """Return the labels of sequences of `items_of`."""
    paths = []
    for sequence in items:
        tagger.set(sequence)
        paths.append(tagger.tag())
    return paths


def fit_both(folder, X, y, c1, c2, threads):
    """Return times of fits by their names, CRFsuite's tagger and last figures, and our model."""
    took, (tagger, last) = seconds(lambda: crfsuite_fit(pathlib.Path(folder, "crf"), X, y, c1, c2))
    times = {"fit: CRFsuite": took}
    for n_jobs in threads:
        model = CRFTagger(None, c1=c1, c2=c2, scheme=None, n_jobs=n_jobs)
        times[f"fit: fastrnn, threads {n_jobs}"], _ = seconds(lambda model=model: model.fit(X, y))
    return times, tagger, last, model


def tag_both(tagger, model, from_tokens, X, tokens):
    """Yield names and times of taggings, by turns."""
    items, sparse = items_of(X), model._reader.read(X)
    taggings = {
        "CRFsuite, lists": lambda: [tagger.tag(elements) for elements in X],
        "CRFsuite, read before": lambda: tag_items(tagger, items),
        "fastrnn, lists": lambda: model.predict(X),
        "fastrnn, read before": lambda: model._weights.paths(sparse, None, model.n_jobs),
        "fastrnn, tokens": lambda: from_tokens.predict(tokens),
    }
    for _ in range(TAGGINGS):
        for name, tag in taggings.items():
            yield f"tag: {name}", seconds(tag)[0]


def main(data, c1, c2, threads, rounds):
    """Print both sides' times."""
    parts = {"btc": load_btc, "ud_ewt": load_ud_ewt}[data]()
    train, test = parts.train, parts.test
    # A single iteration: its model has the attributes of a whole fit.
    from_tokens = CRFTagger(c2=c2, scheme=None, n_jobs=threads[-1], tol=1e9, n_iter_no_change=1)
    from_tokens.fit(train.data, train.target)
    X, X_test = (attribute_lists(from_tokens._reader, part.data) for part in (train, test))
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            fits, tagger, last, model = fit_both(folder, X, train.target, c1, c2, threads)
            for name, took in [*fits.items(), *tag_both(tagger, model, from_tokens, X_test, test.data)]:
                times.setdefault(name, []).append(took)
        same = sum(a == b for a, b in zip(tag_items(tagger, items_of(X_test)), model.predict(X_test), strict=True))
    n_train, n_test = (sum(map(len, sequences)) for sequences in (X, X_test))
    print(f"{data}: {n_train:,} tokens; {last['active_features']:,} weights in CRFsuite, {model.n_parameters_:,} here")
    print(f"loss of CRFsuite: {last['loss']:.2f} after {last['num']} iterations")
    print(f"loss here: {model.loss_curve_[-1]:.2f} after {model.n_iter_} iterations")
    print(f"same paths: {same} of {len(X_test)} sentences")
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        base = medians["fit: CRFsuite" if name.startswith("fit") else "tag: CRFsuite, lists"]
        speed = f"{n_test / median / 1000:8.0f} k tokens/s" if name.startswith("tag") else f"{median:8.2f} s"
        print(f"{name:28s} {speed:20s} {base / median:6.2f} times CRFsuite")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["btc", "ud_ewt"], default="btc")
    parser.add_argument("--c1", type=float, default=0.0)
    parser.add_argument("--c2", type=float, default=0.1)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.data, arguments.c1, arguments.c2, arguments.threads, arguments.rounds)
