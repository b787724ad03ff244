import numpy as np
import pytest
from matplotlib.image import imread

from fastrnn import RNNLanguageModel
from fastrnn.cells import CELLS
from fastrnn.inspection import HiddenStatesDisplay, hidden_states
from fastrnn.inspection._coloured_text import place_tokens
from tests.inspection import slow
from tests.inspection.conftest import TOPOLOGIES, random_layer, random_sequences


def assert_equals_reference(cell, layer):
    sequences = random_sequences((6, 0, 4))
    result = hidden_states(layer, sequences)
    assert tuple(result.values) == layer.cell.states
    assert len(result.names) == layer.num_layers * layer.directions
    assert result.tokens is None
    for b, x in enumerate(sequences):
        _, expected = slow.run(cell, x, layer)
        for n, state in enumerate(result.values):
            assert result.values[state][b].shape[:2] == (len(result.names), len(x))
            np.testing.assert_allclose(result.values[state][b], np.stack([e[n] for e in expected]), atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_equals_the_reference(cell):
    assert_equals_reference(cell, random_layer(cell))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_topology_equals_the_reference(topology):
    assert_equals_reference("lstm", random_layer("lstm", topology))


def test_a_projection_equals_the_reference():
    assert_equals_reference("lstm", random_layer("lstm", "bidirectional", proj_size=2))


def test_a_language_model_has_a_row_a_token(model):
    texts = ["the key to the cabinets", "", "unheard-of"]
    result = hidden_states(model, texts)
    assert result.tokens == [text.split() for text in texts]
    for text, values in zip(texts, result.values["h"], strict=True):
        ids = model.vocabulary_.encode(["</s>", *text.split()])
        y, _ = model.network_.hidden(ids[:, None])
        np.testing.assert_allclose(values[-1], y[1:, 0], atol=1e-5)
    assert hidden_states(model, []).values["h"] == []


def test_sentences_that_stand_alone_begin_with_their_symbol():
    model = RNNLanguageModel("gru", 5, 4, carry_state=False, max_iter=1, random_state=0).fit(["a b c", "c b"] * 9)
    ids = [model.vocabulary_.start_id, *model.vocabulary_.encode(["a", "b"])]
    y, _ = model.network_.hidden(np.array(ids)[:, None])
    np.testing.assert_allclose(hidden_states(model, ["a b"]).values["h"][0][0], y[1:, 0], atol=1e-6)


def test_display(pyplot, model, tmp_path):
    text = "the keys to the cabinet are there"
    display = HiddenStatesDisplay.from_estimator(model, text, unit=2, layer="l1")
    activations = hidden_states(model, [text]).values["h"][0][1, :, 2]
    np.testing.assert_array_equal(display.activations, activations)
    assert [written.get_text() for written in display.ax_.texts] == text.split()
    assert display.ax_.get_title(loc="left") == f"{model.cell}, unit 2 of h, l1"
    # Red where it is positive, blue where it is negative.
    redness = [box.get_facecolor()[0] - box.get_facecolor()[2] for box in display.boxes_]
    assert (np.sign(np.round(redness, 2)) == np.sign(activations)).all()
    display.figure_.savefig(tmp_path / "text.png")
    assert len(np.unique(imread(tmp_path / "text.png"), axis=0)) > 10


def test_display_takes_the_unit_that_varies_most(pyplot, model):
    text = "the key to the cabinets is here"
    values = hidden_states(model, [text]).values["h"][0][0]
    assert HiddenStatesDisplay.from_estimator(model, text).unit == values.var(axis=0).argmax()


def test_display_of_the_cell_state(pyplot):
    model = RNNLanguageModel("lstm", 5, 4, tokenizer="chars", max_iter=1, random_state=0).fit(["$a_1$ b\n"] * 30)
    display = HiddenStatesDisplay.from_estimator(model, "a $b_a$\nb", state="c", unit=1, name="mine")
    np.testing.assert_array_equal(display.activations, hidden_states(model, ["a $b_a$\nb"]).values["c"][0][0, :, 1])
    assert "".join(written.get_text() for written in display.ax_.texts) == "a $b_a$⏎b"
    display.figure_.canvas.draw()  # no mathematics is set
    assert display.boxes_[-1].get_y() > display.boxes_[0].get_y()


def test_places_of_tokens():
    places, lines = place_tokens(["aa", "bbb", "cccc", "d"], width=7)
    assert places == [(0, 0), (0, 3), (1, 0), (1, 5)]
    assert lines == 2
    places, lines = place_tokens([*"ab\nc"], width=7)
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert lines == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "l5"}, r"layer must be 'l0' or 'l1', got 'l5'"),
        ({"unit": 4}, "unit must be from 0 to 3, got 4"),
        ({"state": "z"}, "state must be .*'h'.*, got 'z'"),
    ],
)
def test_display_names_what_is_wrong(model, options, message):
    with pytest.raises(ValueError, match=message):
        HiddenStatesDisplay.from_estimator(model, "the key", **options)


def test_display_needs_a_text(model):
    with pytest.raises(ValueError, match="The text or series is empty"):
        HiddenStatesDisplay.from_estimator(model, "")
    with pytest.raises(ValueError, match="result must be that of one text or series, got that of 2"):
        HiddenStatesDisplay(hidden_states(model, ["a key", "the key"]), "two")
