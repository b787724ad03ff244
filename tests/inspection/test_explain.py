import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier, RNNClassifier
from fastrnn.inspection import _integrated_gradients, explain

TEXTS, LABELS = ["a fine film", "truly fine", "a dull film", "so dull"] * 10, ["pos", "pos", "neg", "neg"] * 10


def fitted(kind, **options):
    shared = {"learning_rate_init": 0.05, "max_iter": 10, "random_state": 0, "embedding_dropout": 0.1, **options}
    if kind == "averaging":
        return MeanEmbeddingClassifier(hidden_layer_sizes=(5,), dropout=0.1, **shared).fit(TEXTS, LABELS)
    return RNNClassifier(hidden_size=9, embedding_size=7, recurrent_dropout=0.1, weight_dropout=0.1,
                         **shared).fit(TEXTS, LABELS)  # fmt: skip


@pytest.mark.parametrize("kind", ["averaging", "recurrent"])
def test_contributions_add_up_and_name_the_word_that_counts(kind):
    model = fitted(kind)
    text = "a fine unheard-of film"
    before = model.predict_proba([text])
    result = explain(model, text, n_steps=1600)
    assert result.target == "pos"
    assert result.tokens == text.split()
    assert result.contributions.argmax() == 1
    np.testing.assert_allclose(result.contributions.sum(), result.output - result.baseline, atol=2e-3)
    assert result.contributions[2] == 0  # an unknown word
    np.testing.assert_array_equal(model.predict_proba([text]), before)
    against = explain(model, text, target="neg", n_steps=50)
    assert against.contributions[1] < 0


def test_a_long_text_is_explained_in_parts(monkeypatch):
    model = fitted("recurrent")
    whole = explain(model, "a fine film").contributions
    monkeypatch.setattr(_integrated_gradients, "_MOST_STEPS", 30)
    np.testing.assert_allclose(explain(model, "a fine film").contributions, whole, rtol=1e-5, atol=1e-7)


def test_a_notebook_shows_an_explanation_with_everything_escaped():
    page = explain(fitted("averaging"), "<b>so</b> & dull", target="neg")._repr_html_()
    assert "neg: +" in page
    assert ">dull</span>" in page
    assert "&lt;</span>" in page
    assert "&amp;</span>" in page
    assert "<b>so" not in page


def test_an_explanation_is_printed_and_plotted():
    result = explain(fitted("averaging"), "so dull")
    assert "dull" in str(result)
    assert "\x1b[42mdull\x1b[0m" in result.to_ansi()
    assert len(result.plot().patches) == 2


@pytest.mark.parametrize("kind", ["averaging", "recurrent"])
def test_an_empty_text_has_no_contributions(kind):
    result = explain(fitted(kind), "")
    assert result.tokens == []
    assert len(result.contributions) == 0
    np.testing.assert_allclose(result.output, result.baseline, atol=1e-6)


def test_what_cannot_be_explained_is_named():
    with pytest.raises(ValueError, match=r"text must be one string for a model with input='text', got \['a film'\]"):
        explain(fitted("averaging"), ["a film"])
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 1, got 0"):
        explain(fitted("averaging"), "a film", n_steps=0)
    with pytest.raises(ValueError, match=r"target must be one of \['neg', 'pos'\], got 'other'"):
        explain(fitted("averaging"), "a film", target="other")
    with pytest.raises(ValueError, match="zoneout=0"):
        explain(RNNClassifier(hidden_size=9, embedding_size=7, zoneout=0.1, max_iter=1).fit(TEXTS, LABELS), "a film")


def test_half_of_an_emoji_is_shown(pyplot):
    half = "\ud83d"
    model = MeanEmbeddingClassifier(5, max_iter=1, random_state=0).fit([f"fine {half}", "dull"] * 4, ["p", "n"] * 4)
    result = explain(model, f"fine {half}")
    assert result.tokens == ["fine", half]
    for shown in (
        str(result),
        result.to_ansi(),
        result._repr_html_(),
        *(box.get_text() for box in result.plot().texts),
    ):
        shown.encode()
    pyplot.gcf().canvas.draw()
