"""Which part of DNA codes for a protein? A label for every base.

The DNA is drawn here, after the rules of bacteria's genes: a gene begins with ATG, goes on in codons of three bases, of
which some are more frequent than others, and ends with a stop codon in its own frame. Between genes stand bases without
any rule, and there ATG and stop codons occur by chance. With ``--splice`` the DNA is real: pieces of 60 bases of primates
(UCI, in FASTRNN_DATA), in whose middle an exon, which codes, borders on an intron, which does not.
"""

import argparse
import itertools

import numpy as np

from fastrnn import RNNTagger
from fastrnn.datasets import load_splice

STOPS = {"TAA", "TAG", "TGA"}
CODONS = np.array([codon for codon in map("".join, itertools.product("ACGT", repeat=3)) if codon not in STOPS])


def draw(n, random):
    """Return n pieces of DNA as lists of bases, and for each a list of labels, "gene" or "between"."""
    usage = np.random.default_rng(0).dirichlet(np.full(len(CODONS), 0.5))  # the same for all genes
    pieces, labels = [], []
    for _ in range(n):
        piece, label = "", []
        for _ in range(random.integers(1, 3)):
            between = "".join(random.choice(list("ACGT"), random.integers(20, 80)))
            gene = "ATG" + "".join(random.choice(CODONS, random.integers(15, 40), p=usage)) + random.choice(sorted(STOPS))
            piece += between + gene
            label += ["between"] * len(between) + ["gene"] * len(gene)
        rest = random.integers(20, 80)
        pieces.append(list(piece) + random.choice(list("ACGT"), rest).tolist())
        labels.append(label + ["between"] * rest)
    return pieces, labels


def read_splice():
    """Return pieces of DNA with a border in their middle as lists of bases, and their labels, "exon" or "intron"."""
    splice, sides = load_splice(), {"EI": ("exon", "intron"), "IE": ("intron", "exon")}
    with_border = [(piece, sides[kind]) for piece, kind in zip(splice.data, splice.target, strict=True) if kind in sides]
    pieces = [list(piece) for piece, _ in with_border]
    return pieces, [[first] * 30 + [second] * (len(piece) - 30) for piece, (first, second) in with_border]


def borders(labels):
    """Return the places at which a label differs from the one before."""
    return [place for place, (before, label) in enumerate(itertools.pairwise(labels), start=1) if before != label]


def main():
    """Train on four fifths of the pieces and test on the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splice", action="store_true", help="real DNA")
    parser.add_argument("--pieces", type=int, default=500)
    parser.add_argument("--max-iter", type=int, default=20)
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    X, y = read_splice() if arguments.splice else draw(arguments.pieces, random)
    order = random.permutation(len(X))
    X, y = [X[i] for i in order], [y[i] for i in order]
    n_test = len(X) // 5
    model = RNNTagger(embedding_size=8, hidden_size=32, char_encoder=None, max_iter=arguments.max_iter, random_state=0)
    model.fit(X[n_test:], y[n_test:])
    predicted = model.predict(X[:n_test])
    print(f"{model.score(X[:n_test], y[:n_test]):.1%} of the bases have the right label")
    right = sum(borders(labels) == borders(guess) for labels, guess in zip(y[:n_test], predicted, strict=True))
    print(f"{right} of {n_test} pieces have all borders at the right base")


if __name__ == "__main__":
    main()
