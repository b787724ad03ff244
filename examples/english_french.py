"""Short English sentences in French (5,000 pairs of Tatoeba, in FASTRNN_DATA), with attention and without.

Source and target are sequences of characters: 5,000 pairs are too few for words. A sentence may have several
translations. A prediction that equals none of the known ones counts as wrong, even if it is a good one.
"""

import argparse

from fastrnn import RNNTranslator
from fastrnn.datasets import load_eng_fra
from fastrnn.metrics import chrf, exact_match

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--max-iter", type=int, default=30)
arguments = parser.parse_args()

pairs = load_eng_fra()
for name, attention in (("with attention", "additive"), ("without", None)):
    model = RNNTranslator(attention=attention, tokenizer="chars", max_iter=arguments.max_iter, random_state=0)
    model.fit(pairs.train.data, pairs.train.target)
    found = model.predict(pairs.test.sentences)
    print(f"{name}: {exact_match(pairs.test.references, found):.1%} are one of the known translations, "
          f"chrF {chrf(pairs.test.references, found):.1f}")  # fmt: skip
    for sentence in ("I am tired.", "Where are you?", "He is very tall."):
        print(f"    {sentence} {model.predict([sentence])[0]}")
