"""Taggers of raw strings, whose labels are spans of characters."""

import numpy as np
import pytest
from sklearn.model_selection import cross_validate

import fastrnn
from fastrnn import CRFTagger, RNNTagger
from fastrnn.metrics import entity_f1, entity_f1_scorer

X = ["Ann Lee lives in Rome.", "Bob left  Paris (again)", "", "She lives here."] * 6
Y = [[(0, 7, "PER"), (17, 21, "LOC")], [(0, 3, "PER"), (10, 15, "LOC")], [], []] * 6
OPTIONS = {
    "crf": {"c2": 0.01},
    "rnn": {"hidden_size": 16, "embedding_size": 16, "char_encoder": None, "max_iter": 25, "dropout": 0.0,
            "word_dropout": 0.0, "learning_rate_init": 0.02, "random_state": 0},
}  # fmt: skip
TAGGERS = {"crf": CRFTagger, "rnn": RNNTagger}


@pytest.fixture(params=TAGGERS)
def kind(request):
    return request.param


@pytest.fixture
def tagger(kind):
    """Return an unfitted tagger of texts."""
    return TAGGERS[kind](input="text", **OPTIONS[kind])


@pytest.fixture(scope="module")
def fitted():
    """Return fitted taggers of texts."""
    return {kind: TAGGERS[kind](input="text", **OPTIONS[kind]).fit(X, Y) for kind in TAGGERS}


def test_predictions_are_spans_of_the_texts(fitted, kind):
    model = fitted[kind]
    assert model.predict(X) == Y
    assert model.predict(["  Bob  lives\tin Rome"]) == [[(2, 5, "PER"), (16, 20, "LOC")]]
    assert model.score(X, Y) == 1.0
    assert model.score(["Ann Lee."], [[(0, 3, "PER")]]) == pytest.approx(2 / 3)
    assert [part.shape for part in model.predict_proba(X[:3])] == [(6, 4), (6, 4), (0, 4)]
    assert model.classes_.tolist() == ["B-LOC", "B-PER", "I-PER", "O"]
    assert np.isfinite(model.decision_function(X[:1])[0]).all()


def test_a_text_is_tagged_as_its_tokens(fitted, kind):
    tokens = [fastrnn.text.tokenize(text) for text in X]
    tags = [["B-PER", "I-PER", *"OO", "B-LOC", "O"], ["B-PER", "O", "B-LOC", *"OOO"], [], [*"OOOO"]] * 6
    other = TAGGERS[kind](input="tokens", **OPTIONS[kind]).fit(tokens, tags)
    for ours, theirs in zip(fitted[kind].predict_proba(X), other.predict_proba(tokens), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_files(fitted, kind, tmp_path):
    fitted[kind].save(tmp_path / "model")
    assert fastrnn.load(tmp_path / "model").predict(X) == Y


def test_validation_and_scorers(tagger):
    tagger.fit(X, Y, X_val=X[:4], y_val=Y[:4])
    assert max(tagger.validation_scores_) == 1.0
    assert tagger.n_iter_ == len(tagger.loss_curve_) - (type(tagger) is not RNNTagger)
    tagger.set_params(n_iter_no_change=1, tol=0.5) if type(tagger) is CRFTagger else tagger.set_params(max_iter=1)
    scores = cross_validate(tagger, X, Y, cv=2, scoring=entity_f1_scorer)["test_score"]
    assert ((scores >= 0) & (scores <= 1)).all()


def test_spans_that_end_within_a_token(tagger):
    with pytest.warns(UserWarning, match=r"1 of 24 spans do not begin and end with tokens, .* of y\[0\], 'An'"):
        tagger.fit(X, [[(0, 2, "PER"), *Y[0][1:]], *Y[1:]])
    assert tagger.classes_.tolist() == ["B-LOC", "B-PER", "I-PER", "O"]


def test_other_tokenizers(tagger):
    tagger.set_params(tokenizer="chars").fit(X, [[(0, 2, "PER"), *Y[0][1:]], *Y[1:]])
    assert len(tagger.predict_proba(["An"])[0]) == 2
    assert 0 <= entity_f1(Y, tagger.predict(X)) <= 1


@pytest.mark.parametrize(
    ("texts", "spans", "message"),
    [
        (X, Y[:3], "X and y must have the same number of texts, got 24 and 3"),
        ([["a", "list"]], [[]], r"X\[0\] must be a string with input='text', got \['a', 'list'\]"),
        (["a b"], [["O", "O"]], r"y\[0\]\[0\] must be a span \(begin, end, label\), got 'O'"),
        (["a b"], [[(0, 9, "X")]], r"y\[0\]\[0\] must be a span within 3 characters"),
        (["a b"], [[(0, 2, "X"), (1, 3, "X")]], r"y\[0\] has spans that overlap"),
        ("a b", [[]], "Iterable over raw text documents expected"),
        (X, None, "y must be a list of spans for each text, got None"),
    ],
)
def test_messages(tagger, texts, spans, message):
    with pytest.raises(ValueError, match=message):
        tagger.fit(texts, spans)


def test_validation_data_are_named(tagger):
    with pytest.raises(ValueError, match="X_val and y_val must have the same number of texts, got 24 and 3"):
        tagger.fit(X, Y, X_val=X, y_val=Y[:3])
