"""Which chord comes next? Chorales of Bach, a set of notes at each quarter, and music drawn from their first notes.

The chorales are those of music21 (pip install music21), which this package does not need. A network that reads forwards
learns to predict the notes of each quarter from the quarters before: several labels at each step, of which each has a
probability of its own. `generate` draws a set of notes, reads it, draws the next one, and so on.
"""

import argparse
import importlib
import sys

import numpy as np

from fastrnn import RNNTagger
from fastrnn.tagging import next_step_examples

LOWEST, HIGHEST = 31, 93  # MIDI numbers, G1 to A6
NAMES = "C C# D Eb E F F# G Ab A Bb B".split()
OPENING = 8  # quarters that a drawn piece begins with


def read_chorales(most):
    """Return chorales as lists of (begin in quarters, length, MIDI number), transposed to no sharps or flats."""
    try:
        corpus = importlib.import_module("music21.corpus")
    except ImportError:
        sys.exit("The chorales are in the corpus of music21, which is not installed: pip install music21")
    pieces = []
    for chorale in corpus.chorales.Iterator(1, most):
        signatures = chorale.recurse().getElementsByClass("KeySignature")
        sharps = signatures[0].sharps if signatures else 0
        up = (5 * sharps + 6) % 12 - 6  # semitones to C major or A minor
        notes = [note for part in chorale.parts for note in part.flatten().notes if note.isNote]
        pieces.append([(float(note.offset), float(note.quarterLength), note.pitch.midi + up) for note in notes])
    return pieces


def piano_roll(notes):
    """Return which notes sound at each quarter, float64 (T, HIGHEST - LOWEST + 1) of 0 and 1."""
    roll = np.zeros((int(np.ceil(max(begin + length for begin, length, _ in notes))), HIGHEST - LOWEST + 1))
    for begin, length, number in notes:
        roll[int(np.ceil(begin)) : int(np.ceil(begin + length)), number - LOWEST] = 1
    return roll


def spelled(chord):
    """Return the names of a set of notes, the lowest first."""
    return " ".join(f"{NAMES[(LOWEST + k) % 12]}{(LOWEST + k) // 12 - 1}" for k in np.flatnonzero(chord)) or "rest"


def f1(right, predicted):
    """Return the F1 of predicted notes over all quarters of lists of piano rolls."""
    right, predicted = np.concatenate(right), np.concatenate(predicted)
    return 2 * (right * predicted).sum() / (right.sum() + predicted.sum())


def main():
    """Train on four fifths of the chorales, predict the others, and draw a piece."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chorales", type=int, default=360)
    parser.add_argument("--max-iter", type=int, default=50)
    parser.add_argument("--quarters", type=int, default=24, help="quarters to draw")
    arguments = parser.parse_args()

    rolls = [piano_roll(notes) for notes in read_chorales(arguments.chorales)]
    X, y = next_step_examples([roll for i, roll in enumerate(rolls) if i % 5 < 4])
    X_test, y_test = next_step_examples(rolls[4::5])
    model = RNNTagger(
        bidirectional=False, input="series", dropout=0.3, learning_rate_init=0.01, batch_size=8,
        max_iter=arguments.max_iter, random_state=0,
    )  # fmt: skip
    model.fit(X, y)
    print(f"{len(rolls)} chorales, {len(X_test)} of them to test on")
    print(f"F1 of the next notes {f1(y_test, model.predict(X_test)):.3f}")
    print(f"F1 if the notes stayed {f1(y_test, X_test):.3f}")

    opening = X_test[0][:OPENING]
    drawn = model.generate(opening, arguments.quarters, random_state=0, temperature=0.7)
    for chord in opening:
        print(f"given  {spelled(chord)}")
    for chord in drawn:
        print(f"drawn  {spelled(chord)}")


if __name__ == "__main__":
    main()
