"""Tests of `fastrnn.tagging.crf` and of what it fits and predicts with."""

import itertools
import pickle

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from fastrnn import CRFTagger, load
from fastrnn.metrics import entity_f1_scorer
from fastrnn.tagging.sparse.chains import MOST_RANGE
from fastrnn.tagging.sparse.design import make_design
from fastrnn.tagging.sparse.features import AttributeReader
from fastrnn.tagging.sparse.lbfgs import Stop, minimize
from fastrnn.tagging.sparse.objective import Objective
from fastrnn.tagging.targets import learn_tags

RANDOM = np.random.default_rng(0)
WORDS = "Ada Bob met in Rome Oslo today .".split()
LABELS = dict(zip(WORDS, "B-PER B-PER O O B-LOC B-LOC O O".split(), strict=True))
X = [[str(word) for word in RANDOM.choice(WORDS, n)] for n in [*RANDOM.integers(1, 8, 60), 0]]
Y = [[LABELS[word] for word in words] for words in X]


def random_problem(n_sequences=12, n_labels=3, n_names=9, valued=False, seed=0):
    """Return sequences of attributes and labels: some attributes always occur together, some with all labels."""
    random = np.random.default_rng(seed)
    X, y = [], []
    for n in [*random.integers(1, 6, n_sequences - 1), 0]:
        X.append([])
        y.append([f"L{k}" for k in random.integers(n_labels, size=n)])
        for label in y[-1]:
            names = [f"a{k}" for k in random.integers(n_names, size=3)] + [label * (random.random() < 0.7) + "!"]
            names += [f"twin of {name}" for name in names]
            X[-1].append({name: round(float(random.normal()), 3) if valued else 1.0 for name in names})
            if valued:
                X[-1][-1] |= {f"twin of {name}": value for name, value in X[-1][-1].items() if "twin" not in name}
    return X, y


def objective_of(X, y, c2=0.0, n_jobs=1, min_count=1, weights=None):
    reader, sequences = AttributeReader.learn(X, {"features": None})
    target = learn_tags(y)
    tags = target.encode(y).values.astype(np.int32)
    design = make_design(sequences, len(reader), tags, target.n_outputs, min_count)
    weights = np.ones(len(X)) if weights is None else weights
    return Objective(design, sequences.offsets, tags, weights, c2, n_jobs), reader, target


def expected_loss(X, y, parameters, objective, reader, target, c2=0.0, weights=None):
    """Return the loss by the sums over all sequences of labels, from the weights of attributes by their names."""
    weights_ = objective.design.weights(parameters)
    names = [name for name, row in zip(reader.attributes, weights_.rows, strict=True) if row >= 0]
    weights_ = weights_.keep(weights_.rows >= 0)
    classes, table = target.classes.tolist(), {}
    for attribute, label, value in zip(*weights_.pairs(), strict=True):
        table[names[attribute], int(label)] = value
    loss = c2 * (sum(value**2 for value in table.values()) + np.sum(weights_.transitions**2))
    for i, (elements, labels) in enumerate(zip(X, y, strict=True)):

        def score(path, elements=elements):
            total = sum(weights_.transitions[pair] for pair in itertools.pairwise(path))
            return total + sum(
                value * table.get((name, k), 0.0)
                for element, k in zip(elements, path, strict=True) for name, value in element.items()
            )  # fmt: skip

        paths = itertools.product(range(len(classes)), repeat=len(elements))
        own = score([classes.index(label) for label in labels])
        loss += (1 if weights is None else weights[i]) * (logsumexp([score(path) for path in paths]) - own)
    return loss


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("scale", [1.0, 2 * MOST_RANGE], ids=["scaled", "log space"])
def test_loss_and_gradient(valued, scale):
    X, y = random_problem(valued=valued)
    weights = RANDOM.uniform(0.5, 2, len(X))
    objective, *names = objective_of(X, y, c2=0.3, weights=weights)
    assert 0 < objective.design.n_wide < len(objective.design.starts) - 1  # both kinds of columns
    assert (objective.design.scales > 1.2 * objective.design.units).any()  # attributes that share a column
    parameters = RANDOM.normal(size=objective.design.n_parameters) * scale
    gradient, other = np.empty_like(parameters), np.empty_like(parameters)
    loss = objective(parameters, gradient)
    assert loss == pytest.approx(expected_loss(X, y, parameters, objective, *names, 0.3, weights), rel=1e-12)
    for p in RANDOM.choice(len(parameters), 25, replace=False):
        step = np.zeros_like(parameters)
        step[p] = 1e-5
        difference = objective(parameters + step, other) - objective(parameters - step, other)
        assert gradient[p] == pytest.approx(difference / 2e-5, rel=1e-6, abs=1e-6 * scale)


def test_scaled_sums_equal_those_in_log_space(monkeypatch):
    from fastrnn.tagging.sparse import chains

    X, y = random_problem(60, n_labels=9)
    objective, *_ = objective_of(X, y)
    parameters = RANDOM.normal(size=objective.design.n_parameters) * 8
    scaled, logarithmic = np.empty((2, len(parameters)))
    loss = objective(parameters, scaled)
    monkeypatch.setattr(chains, "MOST_RANGE", 0.0)  # `TransitionFactors` reads it at each use
    assert objective(parameters, logarithmic) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(scaled, logarithmic, rtol=1e-10, atol=1e-10)


def test_threads_give_the_same_bits():
    X, y = random_problem(900, n_labels=4, n_names=200)
    results = []
    for n_jobs in (1, 2, 3):
        objective, *_ = objective_of(X, y, c2=0.1, n_jobs=n_jobs)
        assert objective.n_jobs == n_jobs
        iterates = minimize(objective, np.zeros(objective.design.n_parameters), None, Stop(max_iter=8), n_jobs=n_jobs)
        results.append([(iterate.value, iterate.parameters.tobytes()) for iterate in iterates])
    assert results[0] == results[1] == results[2]


def test_an_optimum_with_absolute_values_fulfils_its_conditions():
    X, y = random_problem(30)
    objective, *_ = objective_of(X, y, c2=0.01)
    c1 = 0.7 * objective.design.scales
    *_, last = minimize(objective, np.zeros(len(c1)), c1, Stop(max_iter=2000, tol=1e-12))
    assert last.has_converged
    w, gradient = last.parameters, np.empty_like(c1)
    objective(w, gradient)
    assert 0 < np.count_nonzero(w) < 0.8 * len(w)
    np.testing.assert_allclose(gradient[w != 0], -np.sign(w[w != 0]) * c1[w != 0], atol=2e-3)
    assert (np.abs(gradient[w == 0]) <= c1[w == 0] + 2e-3).all()


def rosenbrock(x, gradient):
    gradient[0] = -400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0])
    gradient[1] = 200 * (x[1] - x[0] ** 2)
    return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def test_a_curved_valley_is_followed():
    *_, last = minimize(rosenbrock, np.array([-1.2, 1.0]), None, Stop(200, 0.0, 10, 1e-9))
    np.testing.assert_allclose(last.parameters, 1, rtol=1e-7)
    assert last.n_evaluations < 70


@pytest.fixture(scope="module")
def fitted():
    return CRFTagger().fit(X, Y)


def test_a_tagger_learns_and_is_saved(fitted, tmp_path):
    assert fitted.score(X, Y) == 1
    assert fitted.predict([["Rome", "met", "Ada"], [], ["."]]) == [["B-LOC", "O", "B-PER"], [], ["O"]]
    assert fitted.scheme_ == "iob2"
    assert fitted.classes_.tolist() == ["B-LOC", "B-PER", "O"]
    assert fitted.loss_curve_ == sorted(fitted.loss_curve_, reverse=True)
    assert len(fitted.loss_curve_) == fitted.n_iter_ + 1
    fitted.save(tmp_path / "model")
    for model in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        assert model.predict(X) == Y
        assert model.n_parameters_ == fitted.n_parameters_
        np.testing.assert_array_equal(model.transitions_, fitted.transitions_)
        for p, expected in zip(model.predict_proba(X), fitted.predict_proba(X), strict=True):
            np.testing.assert_array_equal(p, expected)


def test_marginals_are_sums_over_all_paths(fitted):
    words = X[:1][0][:4]
    emissions, classes = fitted.decision_function([words])[0], range(3)
    paths = list(itertools.product(classes, repeat=len(words)))
    scores = [
        sum(emissions[t, k] for t, k in enumerate(path))
        + sum(fitted.transitions_[pair] for pair in itertools.pairwise(path))
        for path in paths
    ]
    shares = np.exp(scores - logsumexp(scores))
    p = [[sum(shares[i] for i, path in enumerate(paths) if path[t] == k) for k in classes] for t in range(len(words))]
    np.testing.assert_allclose(fitted.predict_proba([words])[0], p, rtol=1e-9)
    assert fitted.predict([words])[0] == fitted.classes_[list(paths[int(np.argmax(scores))])].tolist()
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba([words])[0]), p, rtol=1e-9)


def test_predictions_do_not_depend_on_the_batch_or_the_threads(fitted):
    many = X * 20
    serial, threaded = (clone(fitted).set_params(n_jobs=n_jobs).fit(X, Y) for n_jobs in (1, 3))
    for one, other in zip(serial.predict_proba(many), threaded.predict_proba(many), strict=True):
        np.testing.assert_array_equal(one, other)
    assert serial.predict(many) == threaded.predict(many) == [fitted.predict([words])[0] for words in X] * 20


def test_impossible_transitions_are_ruled_out():
    X = [["b", "i"], ["o", "i2"], ["o"]] * 3
    y = [["B-X", "I-X"], ["O", "B-X"], ["O"]] * 3
    strange = [["o", "i"], ["i"]]
    free = CRFTagger(scheme=None, c2=0.01).fit(X, y)
    assert free.predict(strange) == [["O", "I-X"], ["I-X"]]
    for labels in CRFTagger(c2=0.01).fit(X, y).predict(strange):
        assert ("O", "I-X") not in itertools.pairwise(["O", *labels])
    assert CRFTagger().fit([[["a"], ["b"]]], [[0, 1]]).scheme_ is None


def test_labels_are_learned_in_another_scheme():
    model = CRFTagger(scheme="bioes").fit(X, Y)
    assert model.inner_classes_.tolist() == ["O", "S-LOC", "S-PER"]
    assert model.classes_.tolist() == ["B-LOC", "B-PER", "O"]
    assert model.predict(X) == Y
    assert model.predict_proba([["Rome"]])[0].argmax() == 0
    assert {label for _, _, label in model.top_features()} <= {*model.inner_classes_}


def test_absolute_values_make_a_small_model(fitted, tmp_path):
    sparse = CRFTagger(c1=0.5).fit(X, Y)
    assert sparse.score(X, Y) == 1
    assert sparse.n_parameters_ < 0.7 * fitted.n_parameters_
    assert sparse.nbytes_ < 0.7 * fitted.nbytes_
    sparse.save(tmp_path / "model")
    np.testing.assert_array_equal(
        load(tmp_path / "model").decision_function(X[:1])[0], sparse.decision_function(X[:1])[0]
    )


def test_rare_pairs_have_no_weights():
    X = [[["often"], ["often"], ["often", "once"]]]
    model = CRFTagger(min_count=2).fit(X, [["a", "a", "b"]])
    assert [(attribute, label) for _, attribute, label in model.top_features()] == [("often", "a")]


def test_top_features(fitted):
    weights = [weight for weight, _, _ in fitted.top_features(1000)]
    assert weights == sorted(weights, reverse=True)
    weight, attribute, label = fitted.top_features(1, "B-PER")[0]
    assert weight > 0
    assert label == "B-PER"
    assert attribute in fitted._reader.attributes
    with pytest.raises(ValueError, match=r"label must be one of inner_classes_, .*, got 'PER'"):
        fitted.top_features(1, "PER")


def test_weights_of_sequences():
    base = CRFTagger().fit(X + X[:20], Y + Y[:20])
    weights = np.array([2.0] * 20 + [1.0] * (len(X) - 20))
    np.testing.assert_allclose(CRFTagger().fit(X, Y, weights).transitions_, base.transitions_, atol=1e-2)
    strange = [["unheard", "words"]]
    model = CRFTagger().fit(X + strange, [*Y, ["B-X", "B-Y"]], [1.0] * len(X) + [0.0])
    np.testing.assert_array_equal(model.transitions_, CRFTagger().fit(X, Y).transitions_)


def test_weights_of_classes_are_those_of_their_sequences():
    by_label = {"B-LOC": 3.0, "O": 0.5}
    weights = [np.mean([by_label.get(label, 1.0) for label in labels] or [1.0]) for labels in Y]
    weighted, sampled = CRFTagger(class_weight=by_label).fit(X, Y), CRFTagger().fit(X, Y, weights)
    np.testing.assert_allclose(weighted.transitions_, sampled.transitions_, rtol=1e-6)
    assert not np.allclose(weighted.transitions_, CRFTagger().fit(X, Y).transitions_, rtol=1e-2)
    with pytest.raises(ValueError, match="class_weight must have classes as keys: 'nothing' is not among"):
        CRFTagger(class_weight={"nothing": 1.0}).fit(X, Y)


def test_a_file_holds_weights_of_classes_that_are_numbers(tmp_path):
    model = CRFTagger(class_weight={0: 2.0, 1: 1.0}).fit([["a", "b"]] * 2, [[0, 1]] * 2)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").class_weight == {0: 2.0, 1: 1.0}


def test_warm_start_goes_on(fitted):
    model = clone(fitted).set_params(warm_start=True, max_iter=4)
    with pytest.warns(ConvergenceWarning, match="has not converged after max_iter=4 iterations"):
        model.fit(X, Y)
    before = model.loss_curve_[-1]
    model.set_params(max_iter=200).fit(X, Y)
    assert model.loss_curve_[0] == pytest.approx(before, rel=1e-12)
    assert model.loss_curve_[-1] == pytest.approx(fitted.loss_curve_[-1], rel=1e-3)
    more = model.fit([*X, ["Eve", "met", "Ada"]], [*Y, ["B-NEW", "O", "B-PER"]])  # a new label, new attributes
    assert more.loss_curve_[0] < 0.2 * CRFTagger().fit(X, Y).loss_curve_[0]


def test_validation_keeps_the_best_weights():
    y = [
        [label if word != "met" else "B-PER" for word, label in zip(*pair, strict=True)]
        for pair in zip(X, Y, strict=True)
    ]
    model = CRFTagger(c2=1e-3).fit(X, Y, X_val=X[:10], y_val=y[:10])
    assert len(model.validation_scores_) == len(model.loss_curve_)
    assert entity_f1_scorer(model, X[:10], y[:10]) == max(model.validation_scores_)
    unknown = CRFTagger(scheme=None).fit(X, Y, X_val=[["Ada", "met"]], y_val=[["B-PER", "other"]])
    assert unknown.validation_scores_[-1] == 0.5


def test_an_interrupt_keeps_the_last_weights(monkeypatch):
    evaluate, calls = Objective.__call__, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return evaluate(self, *arguments)

    monkeypatch.setattr(Objective, "__call__", interrupted)
    with pytest.warns(ConvergenceWarning, match=r"interrupted after \d iterations: their weights are kept"):
        model = CRFTagger().fit(X, Y)
    assert 0 < model.n_iter_ < 6
    assert model.score(X, Y) > 0.5
    calls[:] = [1] * 5
    with pytest.raises(KeyboardInterrupt):
        clone(model).fit(X, Y)


def test_scikit_learn_takes_it():
    result = cross_validate(make_pipeline(CRFTagger()), X, Y, cv=5, scoring=entity_f1_scorer)
    assert (result["test_score"] > 0.8).all()
    search = GridSearchCV(CRFTagger(), {"c2": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.8


def test_one_label_and_unknown_labels(fitted):
    assert CRFTagger().fit([["a", "b"]], [["O", "O"]]).predict([["c"]]) == [["O"]]
    assert fitted.score([["Ada", "met"]], [["B-PER", "VERB"]]) == 0.5


@pytest.mark.parametrize(
    ("options", "X", "y", "message"),
    [
        ({}, X, [*Y[:2], [*Y[2], "O"], *Y[3:]], r"a label for each element of X: X\[2\] has .* and y\[2\]"),
        ({}, X, Y[:-1], r"inconsistent numbers of samples: \[61, 60\]"),
        ({}, [], [], "at least one"),
        ({}, [[]], [[]], "y holds no labels"),
        ({}, [[{"a": float("nan")}]], [["O"]], r"X\[0\]\[0\] must give 'a' a string, a finite number"),
        ({}, [[{"a": 1e300}, {}]], [["A", "B"]], "no finite gradient: scale the weights of attributes in X down"),
        ({"c2": -1}, X, Y, "c2 must be a number of at least 0, got -1"),
        ({"c1": "x"}, X, Y, "c1 must be a number of at least 0, got 'x'"),
        ({"min_count": 0}, X, Y, "min_count must be an integer of at least 1, got 0"),
        ({"features": "templates"}, X, Y, "features must be 'default' or None"),
        ({"scheme": "iob"}, X, Y, "scheme must be one of .* did you mean 'iob1'|'iob2'"),
    ],
)  # fmt: skip
def test_bad_input_is_named(options, X, y, message):
    with pytest.raises(ValueError, match=message):
        CRFTagger(**options).fit(X, y)


def test_a_function_of_features_is_not_saved(tmp_path):
    model = CRFTagger(features=lambda words, i: {"word": words[i]}).fit(X, Y)
    assert model.score(X, Y) == 1
    with pytest.raises(ValueError, match=r"features=.* cannot be stored in a file"):
        model.save(tmp_path / "model")
    model.set_params(features=None).save(tmp_path / "model")
    assert load(tmp_path / "model").predict([[{"word": "Rome"}]]) == [["B-LOC"]]


def test_a_model_that_is_not_fitted_says_so():
    for use in (lambda m: m.predict(X), lambda m: m.transitions_, lambda m: m.top_features(), lambda m: m.save("x")):
        with pytest.raises(NotFittedError):
            use(CRFTagger())
