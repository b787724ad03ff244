"""Dates as people write them, in the form of ISO 8601 (the dates in FASTRNN_DATA): "10/31/90" is 1990-10-31.

Source and target are sequences of characters. For one date, the example prints the character with the largest attention
weight for each character that the decoder writes.
"""

import argparse

from fastrnn import RNNTranslator
from fastrnn.datasets import load_dates
from fastrnn.metrics import exact_match

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--small", action="store_true", help="learn from every tenth date only")
small = parser.parse_args().small

dates = load_dates()
X, y = (part[::10] if small else part for part in (dates.train.data, dates.train.target))
model = RNNTranslator(tokenizer="chars", embedding_size=64, hidden_size=64 if small else 128, batch_size=64,
                      max_iter=10 if small else 2, learning_rate_init=4e-3, random_state=0).fit(X, y)  # fmt: skip
X_test, y_test = dates.test.data, dates.test.target
print(f"right: {exact_match(y_test, model.predict(X_test)):.2%} of {len(X_test)} dates")

for date in ("friday, july 4, 2008", "2/29/96", "Dec 5, 1987"):
    print(date, "is", model.predict([date])[0])
(alignment,) = model.align(["friday, july 4, 2008"])
for token, weights in zip(alignment.targets, alignment.weights, strict=True):
    print(f"{token:>4} looks at {alignment.sources[weights.argmax()]!r}, place {weights.argmax()}")
