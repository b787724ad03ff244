"""The gradient by the states of an encoder, which comes back through the decoder."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastrnn import RNNTranslator
from fastrnn.inspection import GradientFlowDisplay, gradient_flow, hidden_states
from fastrnn.layers import GRU
from tests import reference
from tests.inspection import slow

SOURCES, TARGETS = ["a b c d", "b c", "c"], ["B A", "C", "C B A"]


def fitted(attention, **options):
    """Return a small translator all of whose weights matter."""
    options = {"hidden_size": 4, "embedding_size": 3, "max_iter": 2, "learning_rate_init": 0.05, "label_smoothing": 0.1,
               "attention": attention, "input_feeding": False, "random_state": 0, **options}  # fmt: skip
    return RNNTranslator(**options).fit(SOURCES * 4, TARGETS * 4)


def loss_of(model, source, target, step):
    """Return a function of a shift of the encoder's states, see `slow.run`: -log p of a target, or of one token."""
    network, arrays = model.network_, {name: array.astype(float) for name, array in model.network_.get_arrays().items()}
    pairs = model.pairs([source], [target])
    ids, closed = pairs.sequences.values, pairs.targets.values
    x = arrays["embedding.weight"][ids]
    inputs = arrays["target_embedding.weight"][[2, *closed[:-1]]][:, None]
    decoder = {name.removeprefix("decoder."): array for name, array in arrays.items() if name.startswith("decoder.")}

    def loss(shift):
        y, states = slow.run(model.cell, x, network.recurrent, shift)
        last = states[-network.recurrent.directions :]
        summary = np.concatenate([of_direction[0][0 if n else -1] for n, of_direction in enumerate(last)])
        start = [
            np.array([[np.tanh(arrays[f"bridge_{name}_l{k}.weight"] @ summary + arrays[f"bridge_{name}_l{k}.bias"])]
                      for k in range(model.num_layers)])
            for name in network.recurrent.cell.states
        ]  # fmt: skip
        if model.attention is None:
            h, _ = reference.network(model.cell, inputs, start, [len(closed)], decoder, model.num_layers)
        else:
            h, _, _ = reference.decoder(model.cell, inputs, start, [len(closed)], y[:, None], [len(ids)], decoder,
                                        model.num_layers, model.input_feeding)  # fmt: skip
        read = np.tanh(h[:, 0] @ arrays["readout.weight"].T + arrays["readout.bias"])
        logits = read @ arrays["output.weight"].T + arrays["output.bias"]
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(closed)), closed]
        return losses.sum() if step is None else losses[step]

    return loss


@pytest.mark.parametrize(
    ("attention", "step", "options"),
    [("additive", None, {"num_layers": 2}), ("dot", 0, {"input_feeding": True}), (None, -1, {"bidirectional": False})],
)
def test_it_equals_central_differences(attention, step, options):
    model = fitted(attention, **options)
    flow = gradient_flow(model, SOURCES, y=TARGETS, step=step)
    directions = model.network_.recurrent.directions
    assert flow.norms.shape == (1, directions * model.num_layers, 4)
    for n, name in enumerate(flow.names):
        norms = np.full((3, 4), np.nan)
        for b, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
            loss, length = loss_of(model, source, target, step), len(source.split())
            for t in range(length):
                lag = t if name.endswith("_reverse") else length - 1 - t
                norms[b, lag] = slow.gradient_norm(loss, (n, t, 0), 4)
        np.testing.assert_allclose(flow.norms[0, n], np.nanmean(norms, axis=0), rtol=1e-4, atol=1e-7)


def test_attention_is_the_short_path():
    """The gradient of the first token, by the first state of a long source, has not far to go."""
    source, norms = " ".join("abcd"[i % 4] for i in range(60)), {}
    for attention in ("additive", None):
        model = fitted(attention, bidirectional=False, max_iter=1, cell="rnn")
        norms[attention] = gradient_flow(model, [source], step=0).norms[0, 0]
    assert norms[None][-1] < 1e-6 * norms[None][0]
    assert norms["additive"][-1] > 1e-3 * norms["additive"][0]


def test_what_is_read(pyplot):
    model = fitted("dot")
    before = {name: array.copy() for name, array in model.network_.grads.items()}
    expected = gradient_flow(model, SOURCES, y=model.predict(SOURCES))
    np.testing.assert_array_equal(gradient_flow(model, iter(SOURCES)).norms, expected.norms)
    lower = make_pipeline(FunctionTransformer(lambda X: [text.lower() for text in X]), model)
    np.testing.assert_array_equal(gradient_flow(lower, [text.upper() for text in SOURCES]).norms, expected.norms)
    for name, array in model.network_.grads.items():
        np.testing.assert_array_equal(array, before[name])
    display = GradientFlowDisplay.from_estimator(model, SOURCES, y=TARGETS, step=0)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["gru, dot attention, l0", "gru, dot attention, l0_reverse"]
    states = hidden_states(model, SOURCES)
    assert states.tokens[0] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="step must be the place of a token in each target, got 3 and 2 tokens"):
        gradient_flow(model, SOURCES, y=TARGETS, step=3)
    with pytest.raises(ValueError, match="step must be None for a model that is not a translator"):
        gradient_flow(GRU(2, 3), [np.zeros((3, 2))], step=0)
    with pytest.raises(ValueError, match=r"X\[0\] is empty"):
        gradient_flow(model, [""], y=["A"])
