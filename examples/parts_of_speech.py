"""Parts of speech of English texts from the web: a CRF beside a recurrent network, and the errors of each.

Needs UD English EWT in the folder that the environment variable FASTRNN_DATA names. With --small on a part of it.
"""

import argparse

from fastrnn import CRFTagger, RNNTagger
from fastrnn.datasets import load_ud_ewt
from fastrnn.inspection import tag_errors, tag_marginals

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--small", action="store_true", help="learn from every tenth sentence only")
parser.add_argument("--plot", metavar="FILE", help="draw what is taken for what")
arguments = parser.parse_args()

texts = load_ud_ewt()
X, y = texts.train.data, texts.train.target
models = {"CRF": CRFTagger(), "network": RNNTagger(random_state=0)}
if arguments.small:
    X, y = X[::10], y[::10]
    models["network"] = RNNTagger(hidden_size=32, char_encoder="ngrams", max_iter=8, learning_rate_init=0.01,
                                  random_state=0)  # fmt: skip

for name, model in models.items():
    model.fit(X, y)
    print(f"{name}: {model.score(texts.test.data, texts.test.target):.2%} of the test tokens")
    errors = tag_errors(texts.test.target, model.predict(texts.test.data))
    confusion = errors.confusion.copy()
    for k in range(len(errors.names)):
        confusion[k, k] = 0
    true, predicted = divmod(int(confusion.argmax()), len(confusion))
    print(f"  most often, {errors.names[true]} is taken for {errors.names[predicted]}: {confusion.max():,} times")
    print(tag_marginals(model, "They can fish in the can they made".split()))
if arguments.plot:
    errors.plot().figure_.savefig(arguments.plot)
