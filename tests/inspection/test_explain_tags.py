"""Explanations of one label of one element, and weights of transitions and of attributes."""

import numpy as np
import pytest

from fastrnn import CRFTagger, RNNClassifier, RNNTagger
from fastrnn.inspection import FeatureWeightsDisplay, TransitionsDisplay, explain, feature_weights, transitions

X = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["Rex", "barks"], ["we", "see", "Rex", "Miller"]] * 5
Y = [["O", "O", "O"], ["O", "O", "O"], ["B-PER", "O"], ["O", "O", "B-PER", "I-PER"]] * 5
SENTENCE = ["the", "Rex", "Miller", "sleeps"]


@pytest.fixture(scope="module")
def crf():
    """Return a small fitted CRF of sparse features."""
    return CRFTagger(max_iter=30).fit(X, Y)


@pytest.fixture(scope="module")
def rnn():
    """Return a small fitted recurrent tagger with a CRF."""
    return RNNTagger(hidden_size=6, embedding_size=5, max_iter=20, learning_rate_init=0.01, activity_penalty=1.0,
                     random_state=0).fit(X, Y)  # fmt: skip


def test_attributes_add_up_to_the_score(crf):
    for place in range(4):
        for number, label in enumerate(crf.classes_):
            result = explain(crf, SENTENCE, label, place=place)
            assert result.output == pytest.approx(crf.decision_function([SENTENCE])[0][place, number])
            assert result.contributions.sum() == pytest.approx(result.output, abs=1e-9)
            assert result.probability == pytest.approx(crf.predict_proba([SENTENCE])[0][place, number])
    result = explain(crf, SENTENCE, place=-2)
    assert (result.place, result.label) == (2, crf.predict([SENTENCE])[0][2])
    assert {"bias", "w[0]=miller", "w[-1]=rex"} <= {*result.names}
    weights = {(name, label): weight for weight, name, label in crf.top_features(10**6)}
    assert result.contributions[result.names.index("w[0]=miller")] == weights["w[0]=miller", "I-PER"]
    assert result.before == ("B-PER", crf.transitions_[0, 1])
    assert explain(crf, SENTENCE, place=0).before is None


def test_weights_of_attributes_count():
    model = CRFTagger().fit([[{"size": 2.0, "word": "a"}, {"size": -1.0}]] * 3, [["big", "small"]] * 3)
    result = explain(model, [{"size": 3.0, "new": True}], "big", place=0)
    assert result.names == ["size"]
    assert result.contributions[0] == pytest.approx(3 * explain(model, [{"size": 1.0}], "big", place=0).output)


def test_elements_add_up_to_the_score(rnn):
    before = rnn.predict_proba([SENTENCE])[0]
    for place, label in ((1, "B-PER"), (2, "I-PER"), (3, "O")):
        result = explain(rnn, SENTENCE, label, 1000, place=place)
        number = rnn.classes_.tolist().index(label)
        assert result.output == pytest.approx(rnn.decision_function([SENTENCE])[0][place, number])
        assert result.contributions.sum() == pytest.approx(result.output - result.baseline, abs=2e-3)
        assert result.names == SENTENCE
    assert explain(rnn, SENTENCE, "B-PER", place=1).contributions.argmax() == 1
    np.testing.assert_array_equal(rnn.predict_proba([SENTENCE])[0], before)


def test_a_long_sequence_is_explained_in_parts(rnn, monkeypatch):
    whole = explain(rnn, SENTENCE, place=1).contributions
    monkeypatch.setattr("fastrnn.inspection._integrated_gradients._MOST_STEPS", 30)
    np.testing.assert_allclose(explain(rnn, SENTENCE, place=1).contributions, whole, rtol=1e-5, atol=1e-7)


def test_steps_of_series_are_explained():
    series = np.random.default_rng(0).standard_normal((5, 7, 2))
    model = RNNTagger(input="series", output="softmax", hidden_size=4, max_iter=1, bidirectional=False,
                      random_state=0).fit(series, (series[:, :, 0] > 0).astype(int))  # fmt: skip
    result = explain(model, series[0], 1, 1000, place=3)
    assert result.names == list("0123456")
    assert result.contributions.sum() == pytest.approx(result.output - result.baseline, abs=2e-3)
    assert not result.contributions[4:].any()  # later steps are not read
    assert result.before is result.after is None
    with pytest.raises(ValueError, match="model must have a CRF, output='crf'"):
        transitions(model)


def test_the_labels_are_those_that_are_learned():
    model = RNNTagger(scheme="bioes", hidden_size=4, embedding_size=4, max_iter=1, random_state=0).fit(X, Y)
    result = transitions(model)
    assert result.labels == ["B-PER", "E-PER", "I-PER", "O", "S-PER"]
    assert np.isneginf(result.end[0])
    explained = explain(model, SENTENCE, "S-PER", place=1)
    assert explained.probability == pytest.approx(model._marginals([SENTENCE]).values[1, 4])


def test_an_explanation_is_shown(crf, rnn, pyplot):
    of_attributes, of_elements = explain(crf, SENTENCE, place=2), explain(rnn, ["the", "<b>", "Rex"], place=1)
    lines = str(of_attributes).splitlines()
    assert lines[0] == f"I-PER at 2: {of_attributes.output:+.3f}, probability {of_attributes.probability:.3f}"
    sizes = [abs(float(line.split()[-1])) for line in lines[1 : 1 + len(of_attributes.names)]]
    assert sizes == sorted(sizes, reverse=True)
    assert lines[-2].startswith("B-PER → I-PER")
    assert of_attributes._repr_html_().count("<tr>") == len(lines)
    assert ">&lt;b&gt;</span>" in of_elements._repr_html_()
    assert [line.split()[0] for line in str(of_elements).splitlines()[1:4]] == ["the", "<b>", "Rex"]
    assert len(of_elements.plot().patches) == 3
    ax = of_attributes.plot()
    assert len(ax.patches) == len(ax.get_yticklabels()) <= 20
    assert ax.get_title(loc="left") == lines[0]


def test_what_cannot_be_explained_is_named(crf, rnn):
    for model in (crf, rnn):
        for place in (None, 4, -5, 1.0, True):
            with pytest.raises(ValueError, match="place must be the number of an element, an integer from 0 to 3, got"):
                explain(model, SENTENCE, place=place)
        with pytest.raises(ValueError, match=r"target must be one of \['B-PER', 'I-PER', 'O'\], got 'b-per': did you"):
            explain(model, SENTENCE, "b-per", place=0)
    with pytest.raises(ValueError, match="place must be None for a model that is no tagger, got 0"):
        explain(RNNClassifier(), "a", place=0)
    with pytest.raises(TypeError, match="model must be a CRFTagger or an RNNTagger, got RNNClassifier"):
        transitions(RNNClassifier())


def test_transitions(crf, rnn, pyplot):
    result = transitions(crf)
    assert result.labels == ["B-PER", "I-PER", "O"]
    np.testing.assert_array_equal(result.weights[:2], crf.transitions_[:2])
    assert result.weights[2].tolist() == [crf.transitions_[2, 0], -np.inf, crf.transitions_[2, 2]]  # O before I-PER
    assert result.start.tolist() == [0, -np.inf, 0]
    assert str(result).splitlines()[0].split() == ["from", "\\", "to", "B-PER", "I-PER", "O", "(end)"]
    assert str(result).splitlines()[3].split()[:3] == ["O", f"{crf.transitions_[2, 0]:.2f}", "-inf"]
    assert result._repr_html_().count("<tr>") == 5
    result, arrays = transitions(rnn), rnn.network_.get_arrays()
    np.testing.assert_array_equal(result.end, arrays["crf.end_transitions"])
    np.testing.assert_array_equal(result.weights[:2], arrays["crf.transitions"][:2])
    assert np.isneginf(result.weights[2, 1])
    display = TransitionsDisplay.from_estimator(rnn)
    assert display.image_.get_array().shape == (4, 4)
    assert display.ax_.get_title(loc="left") == "RNNTagger"
    assert display.image_.get_array().mask.sum() == 3  # what is ruled out, and start to end
    assert transitions(crf).plot(display.ax_, cmap="PuOr").figure_ is display.figure_


def test_weights_of_a_label(crf, rnn, pyplot):
    result = feature_weights(crf, "B-PER", n=3)
    weights = {name: weight for weight, name, label in crf.top_features(10**6) if label == "B-PER"}
    ordered = sorted(weights.values(), reverse=True)
    np.testing.assert_array_equal(result.weights, [*ordered[:3], *ordered[-3:]])
    assert [weights[name] for name in result.names] == result.weights.tolist()
    assert ordered[-1] < 0 < ordered[0]
    assert str(result).splitlines()[1] == f"{result.names[0]:<{max(map(len, result.names))}} {ordered[0]:+.3f}"
    assert result._repr_html_().count("<tr>") == 7
    every = feature_weights(crf, "B-PER", n=10**6)
    np.testing.assert_array_equal(every.weights, [weight for weight in ordered if weight])
    display = FeatureWeightsDisplay.from_estimator(crf, "B-PER", n=3)
    assert [bar.get_width() for bar in display.bars_] == result.weights.tolist()
    assert display.ax_.get_title(loc="left") == "CRFTagger, B-PER"
    assert result.plot(display.ax_, color="black").figure_ is display.figure_
    with pytest.raises(ValueError, match=r"label must be one of \['B-PER', 'I-PER', 'O'\], got 'b-per': did you mean"):
        feature_weights(crf, "b-per")
    with pytest.raises(TypeError, match="model must be a CRFTagger, got RNNTagger"):
        feature_weights(rnn, "O")
