"""How is a word spoken? From spelling to phones (the shared task of SIGMORPHON 2021, in FASTRNN_DATA).

The source is a word as characters, and the target is the list of its phones. The task calls the share of words with any
mistake the word error rate.
"""

import argparse

from fastrnn import RNNTranslator
from fastrnn.datasets import load_g2p
from fastrnn.metrics import exact_match, token_error_rate

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--language", default="italian", help="english takes an hour, italian a minute")
parser.add_argument("--max-iter", type=int, default=None, help="epochs (default: the model's)")
parser.add_argument("words", nargs="*", help="words to pronounce")
arguments = parser.parse_args()

data = load_g2p(arguments.language)
options = {} if arguments.max_iter is None else {"max_iter": arguments.max_iter}
model = RNNTranslator(tokenizer=("chars", None), random_state=0, **options)
model.fit(data.train.data, data.train.target, X_val=data.dev.data, y_val=data.dev.target)

phones = model.predict(data.test.data)
print(f"wrong: {1 - exact_match(data.test.target, phones):.1%} of {len(phones)} words, "
      f"{token_error_rate(data.test.target, phones):.1%} of the phones")  # fmt: skip
for word in arguments.words or data.test.data[:10]:
    print(f"{word}: {' '.join(model.predict([word])[0])}")
