"""What is it doing now? A label for every step of a series, all at once and live, step by step.

The series are drawn here: the accelerations of something that rests, walks and runs by turns. A tagger that reads in
both directions labels whole series; one that reads forwards labels each step as soon as it is measured, with a state
that it keeps in between. A regressor of steps predicts the next measurement.
"""

import numpy as np

from fastrnn import RNNStepRegressor, RNNTagger
from fastrnn.tagging import next_step_examples

ACTIVITIES = {"rest": (0.05, 0.0), "walk": (0.6, 0.11), "run": (1.0, 0.2)}  # size of a stride, strides a step
NOISE = 0.3


def draw(n, random):
    """Return n series (T, 2) of accelerations, and an array (T,) of the activity at each step for each of them."""
    X, y = [], []
    for _ in range(n):
        order = random.permutation(list(ACTIVITIES))
        steps = np.repeat(order, random.integers(20, 60, size=len(order)))
        size, strides = np.array([ACTIVITIES[activity] for activity in steps]).T
        phase = 2 * np.pi * (np.cumsum(strides) + random.random())
        clean = size[:, None] * np.stack([np.sin(phase), np.cos(2 * phase)], axis=1)
        X.append(clean + NOISE * random.standard_normal(clean.shape))
        y.append(steps)
    return X, y


def right(y, predicted):
    """Return the share of steps with the right label."""
    return np.mean(np.concatenate(y) == np.concatenate(predicted))


random = np.random.default_rng(0)
X, y = draw(60, random)
X_test, y_test = draw(20, random)

options = {"cell": "gru", "hidden_size": 32, "learning_rate_init": 0.01, "max_iter": 25, "random_state": 0}
whole = RNNTagger(input="series", **options).fit(X, y)
print(f"both directions, a CRF: {right(y_test, whole.predict(X_test)):.1%} of the steps have the right label")

live = RNNTagger(bidirectional=False, input="series", **options).fit(X, y)
labels, state = [], live.initial_state()
for measured in X_test[0]:
    label, state = live.advance(state, measured)
    labels.append(label)
print(f"live: {right(y_test[:1], [labels]):.1%} of the steps of a series")
print(f"probabilities now: {dict(zip(live.classes_.tolist(), state.probabilities.round(3).tolist(), strict=True))}")

X_next, y_next = next_step_examples(X)
following = RNNStepRegressor(bidirectional=False, **options).fit(X_next, y_next)
print(f"the next measurement: R² {following.score(*next_step_examples(X_test)):.2f}")
print(f"three steps ahead: {following.generate(X_test[0][:50], 3).round(1).tolist()}")
