"""Inspection of recurrent networks: reach of gradients, weights, gates and states, as numbers and as charts.

Everything takes a fitted `RNNLanguageModel`, `RNNClassifier`, `RNNRegressor` or `RNNTranslator` (its encoder) with
texts or series, or a recurrent layer with arrays. `minimal_pairs` and `surprisal` take any language model; `explain`
any classifier, regressor or tagger; `tag_marginals`, `transitions` and `feature_weights` taggers; `tag_errors` labels
and predictions; `attention` translators and captioners. The charts need matplotlib, which is imported when one is
drawn.
"""

from fastrnn.inspection._attention import AttentionDisplay, AttentionMatrix, attention
from fastrnn.inspection._explain import Explanation, explain
from fastrnn.inspection._explain_tags import TagExplanation
from fastrnn.inspection._feature_weights import FeatureWeights, FeatureWeightsDisplay, feature_weights
from fastrnn.inspection._gate_activations import GateActivations, GateActivationsDisplay, gate_activations
from fastrnn.inspection._gradient_flow import GradientFlow, GradientFlowDisplay, gradient_flow
from fastrnn.inspection._hidden_states import HiddenStates, HiddenStatesDisplay, hidden_states
from fastrnn.inspection._learning_curve import LearningCurveDisplay
from fastrnn.inspection._minimal_pairs import MinimalPairs, MinimalPairsDisplay, minimal_pairs
from fastrnn.inspection._singular_values import SingularValues, SingularValuesDisplay, singular_values
from fastrnn.inspection._surprisal import Surprisal, SurprisalDisplay, surprisal
from fastrnn.inspection._tag_errors import TagError, TagErrors, TagErrorsDisplay, tag_errors
from fastrnn.inspection._tag_marginals import TagMarginals, TagMarginalsDisplay, tag_marginals
from fastrnn.inspection._transitions import Transitions, TransitionsDisplay, transitions

__all__ = [
    "AttentionDisplay",
    "AttentionMatrix",
    "Explanation",
    "FeatureWeights",
    "FeatureWeightsDisplay",
    "GateActivations",
    "GateActivationsDisplay",
    "GradientFlow",
    "GradientFlowDisplay",
    "HiddenStates",
    "HiddenStatesDisplay",
    "LearningCurveDisplay",
    "MinimalPairs",
    "MinimalPairsDisplay",
    "SingularValues",
    "SingularValuesDisplay",
    "Surprisal",
    "SurprisalDisplay",
    "TagError",
    "TagErrors",
    "TagErrorsDisplay",
    "TagExplanation",
    "TagMarginals",
    "TagMarginalsDisplay",
    "Transitions",
    "TransitionsDisplay",
    "attention",
    "explain",
    "feature_weights",
    "gate_activations",
    "gradient_flow",
    "hidden_states",
    "minimal_pairs",
    "singular_values",
    "surprisal",
    "tag_errors",
    "tag_marginals",
    "transitions",
]
