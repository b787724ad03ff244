"""From which language does a surname come? Characters, and 18 very unequal classes (names, in FASTRNN_DATA)."""

import argparse

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from fastrnn import RNNClassifier
from fastrnn.datasets import load_names

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--max-iter", type=int, default=5)
arguments = parser.parse_args()

names = load_names()
X, y = np.array(names.data, object), names.target
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, stratify=y, random_state=0)
model = RNNClassifier("gru", tokenizer="chars", lowercase=False, embedding_size=32, hidden_size=64, dropout=0.2,
                      max_iter=arguments.max_iter, random_state=0).fit(X_train, y_train)  # fmt: skip
balanced = balanced_accuracy_score(y_test, model.predict(X_test))
print(f"right: {model.score(X_test, y_test):.1%} of the names, {balanced:.1%} of a language on average")
for name, p in zip(["Satoshi", "Jackson", "Rossi"], model.predict_proba(["Satoshi", "Jackson", "Rossi"]), strict=True):
    print(name, ", ".join(f"{model.classes_[k]} {p[k]:.0%}" for k in np.argsort(-p)[:3]))
