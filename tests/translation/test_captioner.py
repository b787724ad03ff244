"""Captioners: vectors and sets of vectors in, texts and lists of labels out."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastrnn
from fastrnn import NGramLanguageModel, RNNCaptioner
from fastrnn.inspection import attention
from fastrnn.translation import predict_together

SMALL = {
    "hidden_size": 16,
    "embedding_size": 8,
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.02,
    "dropout": 0.0,
    "random_state": 0,
}
COLOURS, SHAPES = ["red", "green", "blue"], ["circle", "square"]


def things(n, seed=0):
    """Return n sets of regions (R_i, 4), which show a colour and a shape each, and captions that name them in order."""
    random, X, y = np.random.default_rng(seed), [], []
    for _ in range(n):
        places = np.sort(random.choice(3, random.integers(1, 3), replace=False))
        colours, shapes = random.integers(3, size=len(places)), random.integers(2, size=len(places))
        regions = np.column_stack([places, np.eye(3)[colours][:, :2], shapes])
        X.append(regions[random.permutation(len(places))])
        y.append(" then ".join(f"{COLOURS[c]} {SHAPES[s]}" for c, s in zip(colours, shapes, strict=True)))
    return X, y


@pytest.fixture(scope="module")
def model():
    """Return a captioner of regions."""
    return RNNCaptioner(max_iter=60, attention="dot", batch_size=16, **SMALL).fit(*things(150))


@pytest.fixture(scope="module")
def of_vectors():
    """Return a captioner of single vectors that writes lists of labels."""
    X = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
    y = [["C", "E", "G"], ["A"], [], ["A", "C", "A", "C"]]
    return RNNCaptioner(max_iter=80, attention=None, tokenizer=None, **SMALL).fit(X, y), X, y


def test_regions_become_texts(model):
    X, y = things(40, seed=1)
    predicted = model.predict(X)
    assert np.mean([a == b for a, b in zip(predicted, y, strict=True)]) > 0.9
    assert model.n_features_in_ == 4
    assert model.transform(X).shape == (40, 16)
    assert model.score(X, y) == pytest.approx(
        model.score_samples(X, y).sum() / sum(len(part) for part in model.predict_log_proba(X, y))
    )


def test_the_order_of_regions_says_nothing(model):
    X, y = things(10, seed=1)
    turned = [regions[::-1] for regions in X]
    np.testing.assert_allclose(model.score_samples(turned, y), model.score_samples(X, y), rtol=1e-4)


def test_it_looks_at_the_region_that_it_names(model):
    X, y = things(40, seed=1)
    aligned = model.align(X, y)
    right = []
    for regions, text, (sources, targets, weights) in zip(X, y, aligned, strict=True):
        assert sources is None
        assert targets == [*text.split(), "</s>"]
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
        if len(regions) == 2:
            right.append(weights[3].argmax() == regions[:, 0].argmax())  # the colour of the second
    assert np.mean(right) > 0.8
    result = attention(model, X[0])
    assert result.targets[:-1] == model.predict(X[:1])[0].split()
    assert result.weights.shape == (len(result.targets), len(X[0]))


def test_options_of_the_search(model):
    X, y = things(6, seed=1)
    plain = model.predict(X)
    assert all(text.startswith("red") for text in model.predict(X, prefix=["red"] * len(X)))
    assert not any("blue" in text for text in model.predict(X, forbidden=["blue"]))
    assert [best.text for best, *_ in model.beam_search(X, 2)] == plain
    assert len(model.sample(X, 3, random_state=0)[0]) == 3
    assert predict_together([model, model], X) == plain
    counts = NGramLanguageModel(2, smoothing="add_k").fit(y)
    assert model.predict(X, language_model=counts, weight=0.0) == plain


def test_vectors_become_lists_of_labels(of_vectors):
    model, X, y = of_vectors
    assert model.predict(X) == y
    assert model.predict(X.tolist(), beam_width=1) == y
    assert set(model.target_vocabulary_.tokens[4:]) == {"A", "C", "E", "G"}


def test_a_single_vector_is_read_at_every_step(of_vectors):
    _, X, y = of_vectors
    model = RNNCaptioner(max_iter=80, tokenizer=None, **{**SMALL, "hidden_layer_sizes": ()}).fit(X, y)
    assert model.predict(X) == y
    with pytest.raises(ValueError, match=r"align needs a model of region vectors, \(n, R, D\), got one that learned"):
        model.align(X)


def test_the_scale_of_features_says_nothing(of_vectors):
    model, X, y = of_vectors
    other = clone(model).set_params(max_iter=3).fit(X * [1000.0, 0.1] - 50, y)
    np.testing.assert_allclose(other.loss_curve_, model.set_params(max_iter=3).fit(X, y).loss_curve_, rtol=1e-4)


def test_results_do_not_depend_on_the_batch(model):
    X, y = things(12, seed=2)
    together = model.score_samples(X, y)
    np.testing.assert_array_equal([model.score_samples([a], [b])[0] for a, b in zip(X, y, strict=True)], together)
    assert [model.predict([regions])[0] for regions in X] == model.predict(X)
    assert model.predict([]) == []


def test_files(model, of_vectors, tmp_path):
    vectors, X, _ = of_vectors
    for one, inputs in ((model, things(5)[0]), (vectors, X)):
        one.save(tmp_path / "model")
        again = fastrnn.load(tmp_path / "model")
        assert again.get_params() == one.get_params()
        assert again.predict(inputs) == one.predict(inputs)
        np.testing.assert_array_equal(again.transform(inputs), one.transform(inputs))


def test_pipelines():
    random = np.random.default_rng(0)
    X = random.standard_normal((30, 6))
    y = ["high" if row[0] > 0 else "low" for row in X]
    pipeline = make_pipeline(StandardScaler(), PCA(4, random_state=0), RNNCaptioner(max_iter=2, **SMALL)).fit(X, y)
    assert len(pipeline.predict(X)) == 30
    assert pipeline.score(X, y) < 0
    assert clone(pipeline).get_params()["rnncaptioner__hidden_size"] == 16


def test_partial_fit_goes_on(of_vectors):
    model, X, y = of_vectors
    other = clone(model).partial_fit(X, y)
    before = other.score(X, y)
    for _ in range(5):
        other.partial_fit(X, y)
    assert other.score(X, y) > before
    assert other.n_iter_ == 6


@pytest.mark.parametrize(
    ("options", "X", "y", "message"),
    [
        ({}, [[np.nan, 1]], ["a"], "Input X contains NaN"),
        ({}, [[0, 1], [1, 0]], ["a"], r"X and y must have the same number of samples, .*: \[2, 1\]"),
        ({}, [], [], "X holds no numbers"),
        ({}, [[0, 1]], None, "requires y to be passed"),
        ({}, ["a b"], ["a"], r"X must be an array \(n, D\) of numbers, or region vectors: .*, got \['a b'\]"),
        ({"hidden_layer_sizes": 16}, [[0, 1]], ["a"], "hidden_layer_sizes must be a tuple of integers, got 16"),
        ({"hidden_layer_sizes": (0,)}, [[0, 1]], ["a"], "hidden_layer_sizes must be .* got 0"),
        (
            {"attention": "dot", "hidden_size": 8},
            [[0, 1]],
            ["a"],
            r"hidden_layer_sizes must end with hidden_size=8 for",
        ),
        ({"attention": "dots"}, [[0, 1]], ["a"], "attention must be .*, got 'dots'"),
    ],
)
def test_what_is_refused(options, X, y, message):
    with pytest.raises(ValueError, match=message):
        RNNCaptioner(**{**SMALL, **options}).fit(X, y)


def test_what_does_not_fit_the_model(model, of_vectors):
    vectors, X, y = of_vectors
    with pytest.raises(ValueError, match=r"X must be region vectors, \(n, R, D\) or a list of \(R_i, D\), as in the"):
        model.predict(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"X\[0\] must have shape \(R, 4\) as the others have, got \(2, 3\)"):
        model.predict([np.ones((2, 3))])
    with pytest.raises(ValueError, match=r"got an array of shape \(2, 4\): put the regions of a single example into a"):
        model.predict(np.ones((2, 4)))
    with pytest.raises(ValueError, match="X must have 2 features as in the training, got 3"):
        vectors.predict(np.ones((2, 3)))
    with pytest.raises(ValueError, match="align needs a model"):
        vectors.align(X, y)
    with pytest.raises(NotFittedError):
        RNNCaptioner().predict([[1.0]])


def test_few_examples_are_not_read_forever():
    assert RNNCaptioner(attention=None, **SMALL).fit([[0.0], [1.0]], ["a", "b"]).n_iter_ == 500
