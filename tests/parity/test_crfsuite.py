"""Optima and best paths of conditional random fields are those of CRFsuite."""

import random

import numpy as np
import pytest

from fastrnn import CRFTagger

pycrfsuite = pytest.importorskip("pycrfsuite")

LABELS = "ABCDE"


def problem(n_sequences, seed, valued=False):
    """Return elements with attributes that speak for their label and for the one before, and random labels."""
    draw = random.Random(seed)
    X, y = [], []
    for _ in range(n_sequences):
        label, labels, elements = draw.choice(LABELS), [], []
        for _ in range(draw.randrange(1, 9)):
            label = draw.choice(LABELS) if draw.random() < 0.5 else label
            spoken = label if draw.random() < 0.8 else draw.choice(LABELS)
            names = ["bias", f"{spoken}{draw.randrange(30)}", f"kind {spoken in 'AB'}", f"noise {draw.randrange(40)}"]
            # Values above 0: CRFsuite leaves out features of a negative sum.
            elements.append({name: round(draw.uniform(0.1, 2), 2) if valued else 1.0 for name in names})
            labels.append(label)
        X.append(elements)
        y.append(labels)
    return X, y


def crfsuite(path, X, y, **params):
    """Train CRFsuite; return its tagger and the last loss."""
    trainer = pycrfsuite.Trainer("lbfgs", verbose=False)
    trainer.set_params({"feature.possible_transitions": True, **params})
    for elements, labels in zip(X, y, strict=True):
        trainer.append(elements, labels)
    trainer.train(str(path))
    tagger = pycrfsuite.Tagger()
    tagger.open(str(path))
    return tagger, trainer.logparser.last_iteration["loss"], trainer.logparser.last_iteration["active_features"]


@pytest.mark.parametrize(
    ("c1", "c2", "valued"),
    [(0.0, 0.1, False), (0.0, 1.0, True), (0.2, 0.05, False)],
    ids=["L2", "numbers", "L1 and L2"],
)
def test_optimum_and_paths(tmp_path, c1, c2, valued):
    X, y = problem(300, 0, valued)
    strict = {"epsilon": 1e-7, "delta": 1e-8, "max_iterations": 3000}
    theirs, loss, n_active = crfsuite(tmp_path / "model", X, y, c1=c1, c2=c2, **strict)
    ours = CRFTagger(None, c1=c1, c2=c2, tol=1e-8, max_iter=3000, scheme=None).fit(X, y)
    assert ours.loss_curve_[-1] == pytest.approx(loss, rel=1e-5)
    if c1 == 0:
        assert ours.n_parameters_ == n_active
    else:
        assert np.count_nonzero(ours._weights.values) < n_active + 5  # theirs count transitions too
    new, _ = problem(200, 1, valued)
    tagged = [theirs.tag(elements) for elements in new]
    assert sum(a == b for a, b in zip(ours.predict(new), tagged, strict=True)) >= 199  # near ties may differ
    theirs.set(new[0])
    p = [[theirs.marginal(label, t) for label in ours.classes_] for t in range(len(new[0]))]
    np.testing.assert_allclose(ours.predict_proba(new[:1])[0], p, atol=2e-3)


def test_rare_features_are_the_same(tmp_path):
    X, y = problem(300, 2)
    params = {"c1": 0, "c2": 0.5, "feature.minfreq": 3}
    _, loss, n_active = crfsuite(tmp_path / "model", X, y, **params)
    ours = CRFTagger(None, c2=0.5, min_count=3).fit(X, y)
    assert ours.loss_curve_[-1] == pytest.approx(loss, rel=1e-4)
    assert ours.n_parameters_ == n_active
