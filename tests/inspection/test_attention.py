"""The attention of a sentence pair: as a result, as text, in a notebook, as a chart."""

import re

import numpy as np
import pytest

from fastrnn import NGramLanguageModel
from fastrnn.inspection import AttentionMatrix, attention

RESULT = AttentionMatrix(["the", "<b>"], ["das", "Haus", "</s>"], np.array([[0.75, 0.25], [0.1, 0.9], [0.5, 0.5]]))


def test_it_is_shown():
    assert str(RESULT).splitlines() == [
        "das   the 0.750, <b> 0.250",
        "Haus  <b> 0.900, the 0.100",
        "</s>  the 0.500, <b> 0.500",
    ]
    page = RESULT._repr_html_()
    assert "<caption>Attention of 3 target tokens (rows) to 2 parts of the source</caption>" in page
    assert "<th></th><th>the</th><th>&lt;b&gt;</th>" in page
    shares = [float(share) for share in re.findall(r'rgba\(67,147,195,([0-9.]+)\)"', page)]
    np.testing.assert_allclose(shares, 0.8 * RESULT.weights.ravel(), atol=0.005)
    assert 'title="Haus - &lt;b&gt;: 0.900"' in page


def test_regions_have_numbers(pyplot):
    result = AttentionMatrix(None, ["a", "</s>"], np.array([[0.25, 0.7, 0.05], [0.0, 0.0, 1.0]]))
    assert str(result).splitlines()[0] == "a     1 0.700, 0 0.250, 2 0.050"
    assert result.plot().ax_.get_xlabel() == "region"


def test_the_chart(pyplot):
    display = RESULT.plot()
    np.testing.assert_array_equal(display.image_.get_array(), RESULT.weights)
    assert display.image_.get_clim() == (0, 1)
    labels = [[label.get_text() for label in axis()] for axis in (display.ax_.get_xticklabels,
                                                                 display.ax_.get_yticklabels)]  # fmt: skip
    assert labels == [RESULT.sources, RESULT.targets]
    assert [text.get_text() for text in display.ax_.texts] == ["0.75", "0.25", "0.10", "0.90", "0.50", "0.50"]


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"model must be an RNNTranslator or an RNNCaptioner, got 'NGramLanguageModel'"):
        attention(NGramLanguageModel(2, smoothing="mle").fit(["a b"]), "a")
