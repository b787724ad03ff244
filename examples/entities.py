"""Persons, places and organisations in tweets: a CRF beside a recurrent network beside both.

Needs the Broad Twitter Corpus, and vectors of GloVe for the network, in the folder that the environment variable
FASTRNN_DATA names. With --small a small network on a part of the tweets.
"""

import argparse

from fastrnn import CRFTagger, RNNTagger
from fastrnn.datasets import load_btc, load_glove
from fastrnn.inspection import explain, tag_errors
from fastrnn.metrics import entity_f1, entity_report
from fastrnn.tagging import predict_together

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--small", action="store_true", help="learn from every fifth tweet only")
small = parser.parse_args().small

tweets, glove = load_btc(), load_glove()
X, y = (part[::5] if small else part for part in (tweets.train.data, tweets.train.target))
X_test, y_test = tweets.test.data, tweets.test.target

crf = CRFTagger().fit(X, y)
options = {"hidden_size": 32, "char_encoder": None, "max_iter": 8, "learning_rate_init": 0.01} if small else {}
network = RNNTagger(embedding=(glove.words, glove.vectors), random_state=0, **options).fit(X, y)


labels = predict_together([crf, network], X_test)
for name, found in (("CRF", crf.predict(X_test)), ("network", network.predict(X_test)), ("both", labels)):
    print(f"{name}: F1 of entities {entity_f1(y_test, found):.1%}")

print(entity_report(y_test, labels))
print(tag_errors(y_test, labels))
tweet = "Just landed in Heathrow with @anna and Mark Ronson".split()
print(explain(crf, tweet, "B-LOC", place=3))
print(explain(network, tweet, "B-LOC", place=3))
