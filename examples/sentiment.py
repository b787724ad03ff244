"""Is a sentence of a movie review positive? Two networks beside TF-IDF with logistic regression.

Needs the movie-review sentences (downloaded if the environment variable FASTRNN_DATA names no folder that has them).
With --small on a part of them.
"""

import argparse

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from fastrnn import MeanEmbeddingClassifier, RNNClassifier
from fastrnn.datasets import load_movie_review_sentences
from fastrnn.inspection import explain

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--small", action="store_true", help="learn from 600 sentences only")
small = parser.parse_args().small

reviews = load_movie_review_sentences()
parts = train_test_split(np.array(reviews.data, object), reviews.target, test_size=0.1, stratify=reviews.target,
                         random_state=0)  # fmt: skip
X_train, X_test, y_train, y_test = parts
if small:
    X_train, y_train = X_train[:600], y_train[:600]

models = {
    "mean embedding": MeanEmbeddingClassifier(random_state=0),
    "LSTM": RNNClassifier(hidden_size=16, max_iter=10, random_state=0) if small else RNNClassifier(random_state=0),
    "TF-IDF": make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10)),
}
for name, model in models.items():
    print(f"{name}: {model.fit(X_train, y_train).score(X_test, y_test):.1%} of the test sentences")
print(explain(models["mean embedding"], "a warm , funny and engaging film , never dull"))
