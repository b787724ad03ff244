"""Which part of DNA codes for a protein? A label for every base (UCI's splice junctions, in FASTRNN_DATA).

The pieces are from genes of primates: an exon, which codes, borders on an intron, which is cut out before, or the other
way round. The border is in the middle of each piece of 60 bases; so that its place is no hint, a window of 40 bases is
drawn from each. A tagger labels every base, and its CRF allows for few borders. What it finds is what biologists know:
introns begin with GT and end with AG, but most GT and AG are no borders.
"""

import argparse
import itertools

import numpy as np

from fastrnn import RNNTagger
from fastrnn.datasets import load_splice

SIDES = {"EI": ("exon", "intron"), "IE": ("intron", "exon")}
MIDDLE, WINDOW = 30, 40


def windows(pieces, kinds, random):
    """Return a window of each piece that has a border, as a list of bases, and the labels of its bases."""
    X, y = [], []
    for piece, kind in zip(pieces, kinds, strict=True):
        if kind in SIDES:
            labels = np.repeat(SIDES[kind], [MIDDLE, len(piece) - MIDDLE])
            begin = random.integers(len(piece) - WINDOW + 1)
            X.append(list(piece[begin : begin + WINDOW]))
            y.append(labels[begin : begin + WINDOW].tolist())
    return X, y


def borders(labels):
    """Return the places at which a label differs from the one before."""
    return [place for place, (before, label) in enumerate(itertools.pairwise(labels), start=1) if before != label]


def main():
    """Train on four fifths of the pieces and test on the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-iter", type=int, default=15)
    arguments = parser.parse_args()
    splice, random = load_splice(), np.random.default_rng(0)
    order = random.permutation(len(splice.data))
    X, y = windows([splice.data[i] for i in order], splice.target[order], random)
    n_test = len(X) // 5
    model = RNNTagger(
        "gru", embedding_size=8, hidden_size=64, char_encoder=None, shapes=False, dropout=0.2, learning_rate_init=0.005,
        max_iter=arguments.max_iter, random_state=0,
    )  # fmt: skip
    model.fit(X[n_test:], y[n_test:])
    predicted = model.predict(X[:n_test])
    print(f"{model.score(X[:n_test], y[:n_test]):.1%} of the bases have the right label")
    right = sum(borders(labels) == borders(found) for labels, found in zip(y[:n_test], predicted, strict=True))
    print(f"{right / n_test:.1%} of {n_test} pieces have their border at the right base, and no other")
    for piece, labels in list(zip(X[:n_test], predicted, strict=True))[:4]:
        print("".join(base if label == "exon" else base.lower() for base, label in zip(piece, labels, strict=True)))


if __name__ == "__main__":
    main()
