"""Tests of `fastrnn.utils.brief`."""

import inspect
import pydoc

import pytest
import sklearn
from sklearn.base import BaseEstimator, clone

from fastrnn import MeanEmbeddingClassifier, NGramLanguageModel, RNNClassifier, RNNLanguageModel, RNNRegressor

CLASSES = [MeanEmbeddingClassifier, NGramLanguageModel, RNNClassifier, RNNLanguageModel, RNNRegressor]


@pytest.mark.parametrize("cls", CLASSES)
def test_methods_of_scikit_learn_take_a_line_each(cls):
    methods = dict(inspect.getmembers(cls, inspect.isfunction))
    names = [name for name in methods if not name.startswith("_") and methods[name].__module__.startswith("sklearn")]
    assert {"get_params", "set_params", "get_metadata_routing", "set_score_request"} <= set(names)
    for name in names:
        assert len(inspect.getdoc(methods[name]).splitlines()) == 1, name
    assert "Set the metadata that `score` requests." in pydoc.render_doc(cls)


def test_the_methods_work_as_before():
    assert len(inspect.getdoc(BaseEstimator.get_params).splitlines()) > 1
    model = RNNClassifier(hidden_size=7)
    assert inspect.signature(RNNClassifier.get_params) == inspect.signature(BaseEstimator.get_params)
    assert model.get_params()["hidden_size"] == clone(model).hidden_size == 7
    assert RNNClassifier.get_params(model.set_params(hidden_size=8))["hidden_size"] == 8
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True)
        assert model.get_metadata_routing().fit.requests["sample_weight"] is True
    fitted = MeanEmbeddingClassifier(embedding_size=3, n_buckets=2, max_iter=1).fit(["a b", "c"], ["+", "-"])
    assert fitted.get_feature_names_out().tolist() == [f"meanembeddingclassifier{i}" for i in range(3)]
    assert fitted.set_output(transform="default").fit_transform(["a b", "c"], ["+", "-"]).shape == (2, 3)
