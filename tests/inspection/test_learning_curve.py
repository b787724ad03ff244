import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from fastrnn import MeanEmbeddingClassifier, RNNLanguageModel
from fastrnn.inspection import LearningCurveDisplay


def test_curves_of_a_model(pyplot):
    model = RNNLanguageModel(cell="gru")
    model.loss_curve_, model.validation_scores_ = [3.0, 2.5, 2.0], [-3.5, -3.0, -3.1]
    display = LearningCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), [3.0, 2.5, 2.0])
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), [3.5, 3.0, 3.1])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["gru, training", "gru, validation"]
    assert display.ax_.get_ylabel() == "loss (nats)"


def test_perplexities_and_several_models_on_one_chart(pyplot):
    display = LearningCurveDisplay([2.0, 1.0], [-2.5, -1.5], "a").plot(perplexity=True)
    np.testing.assert_allclose(display.lines_[1].get_ydata(), np.exp([2.5, 1.5]))
    np.testing.assert_array_equal(display.lines_[1].get_xdata(), [1, 2])
    assert display.lines_[0].get_color() == display.lines_[1].get_color()
    other = LearningCurveDisplay([2.0], [], "b").plot(display.ax_)
    assert other.ax_ is display.ax_
    assert len(other.lines_) == 1
    assert len(display.ax_.lines) == 3


def test_scores_that_are_shares_are_drawn_as_errors(pyplot):
    display = LearningCurveDisplay([2.0, 1.0, 0.5], [-0.4, 0.25, 0.75], "tagger").plot()
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), [1.4, 0.75, 0.25])
    assert display.ax_.get_legend().get_texts()[1].get_text() == "tagger, validation, 1 - score"


def test_before_fit():
    with pytest.raises(NotFittedError):
        LearningCurveDisplay.from_estimator(RNNLanguageModel())


def test_models_without_a_cell_and_pipelines(pyplot):
    model = MeanEmbeddingClassifier()
    model.loss_curve_, model.validation_scores_ = [0.5], []
    for estimator in (model, Pipeline([("model", model)])):
        display = LearningCurveDisplay.from_estimator(estimator)
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
            "MeanEmbeddingClassifier, training"
        ]
