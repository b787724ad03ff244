"""Which of two sentences is more probable? A speech recognizer hears the same in both, a language model does not.

An n-gram model and a small network learn from a few lines of text, and compare "The apple and pear salad" with "The
apple and pair salad". Where the environment variable FASTRNN_DATA names a folder of corpora, a trigram model of War and
Peace is asked about agreement in number too: "the author laughs" or "the author laugh".
"""

import math
import os
import pathlib

from fastrnn import NGramLanguageModel, RNNLanguageModel
from fastrnn.inspection import minimal_pairs

TEXT = """\
The apple and the pear grow on trees.
She cut the apple and pear into slices for the salad.
He bought a pair of shoes and a pair of socks.
The pear salad was sweet, and the apple pie was warm.
They made a salad of apple, pear and walnut.
A new pair of gloves lay on the table.
The pair of friends ate an apple and a pear.
The fruit salad has apple and pear in it.
The old shoes and the pair of boots stood by the door.
Every pair of shoes has a left one and a right one.
An apple and pear cake is better than a plum cake.
The tomato salad is red, and the pear salad is green.
"""
PAIRS = [
    ("The apple and pear salad", "The apple and pair salad"),
    ("A pair of shoes", "A pear of shoes"),
    ("The pear salad was sweet", "The pair salad was sweet"),
]

lines = TEXT.splitlines()
ngrams = NGramLanguageModel(order=3, smoothing="witten_bell").fit(lines)
network = RNNLanguageModel(
    "gru", 16, 32, vocabulary=ngrams.vocabulary_, carry_state=False, batch_size=4, dropout=0.3,
    learning_rate_init=0.01, max_iter=40, early_stopping=False, random_state=0,
).fit(lines)  # fmt: skip

for name, model in (("trigrams", ngrams), ("network", network)):
    result = minimal_pairs(model, *zip(*PAIRS, strict=True))
    print(f"{name}: {result.accuracy:.0%} of the pairs right")
    for pair, *scores in zip(PAIRS, result.good_scores, result.bad_scores, strict=True):
        for sentence, score in zip(pair, scores, strict=True):
            print(f"    P({sentence}) = {math.exp(score):.1e}")

if "FASTRNN_DATA" in os.environ:
    from fastrnn.datasets import load_marvin_linzen

    text = pathlib.Path(os.environ["FASTRNN_DATA"], "warandpeace", "train.txt").read_text().splitlines()
    novel = NGramLanguageModel(order=3, tokenizer="whitespace").fit(text)
    pairs = load_marvin_linzen()
    result = minimal_pairs(novel, pairs.good, pairs.bad, pairs.template, oov="exclude")
    print(f"War and Peace, {result.n_pairs} pairs of known words: {result.accuracy:.0%} right")
    for group, accuracy, count in zip(result.groups, result.group_accuracies, result.group_counts, strict=True):
        print(f"    {group}: {accuracy:.0%} of {count}")
