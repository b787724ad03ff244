import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastrnn import RNNLanguageModel, Vocabulary
from fastrnn.language.recurrent_training import RECIPES
from fastrnn.text.tokens import close_sentences
from fastrnn.training.schedule import Schedule
from tests import reference

LINES = ["the cat sat on the mat .", "the dog sat on the log .", "a cat saw the dog ."] * 30


def small(**options):
    """Return a model that is trained in well under a second."""
    defaults = {
        "embedding_size": 7,
        "hidden_size": 9,
        "tokenizer": "whitespace",
        "learning_rate_init": 0.02,
        "max_iter": 2,
        "bptt_length": 8,
        "batch_size": 4,
        "random_state": 0,
    }
    return RNNLanguageModel(**{**defaults, **options})


def slow_log_probs(model, tokens, start):
    """Return the log probabilities of tokens fed in one after the other, by the slow reference."""
    network = model.network_
    inputs = np.array([start, *tokens[:-1]])
    x = network.embedding.parameters["weight"].astype(float)[inputs][:, None]
    n_states = 2 if model.cell == "lstm" else 1
    state = np.zeros((n_states, model.num_layers, 1, model.hidden_size))
    parameters = network.recurrent.state_dict()
    h, _ = reference.network(model.cell, x, state, [len(inputs)], parameters, model.num_layers)
    logits = h[:, 0] @ network.output.parameters["weight"].T.astype(float) + network.output.parameters["bias"]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return log_p[np.arange(len(tokens)), tokens]


@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "gru", "lstm"])
@pytest.mark.parametrize("tie_weights", [False, True])
def test_log_probabilities_equal_the_slow_reference(cell, tie_weights):
    model = small(cell=cell, num_layers=2, embedding_size=9, tie_weights=tie_weights, max_iter=1).fit(LINES)
    sentences = [line.split() for line in LINES[:5]] + [[], ["unheard-of", "cat"]]
    ids, _ = close_sentences(*model.vocabulary_.encode_corpus(sentences))
    got = model.token_log_probs(sentences)
    assert [len(part) for part in got] == [len(sentence) + 1 for sentence in sentences]
    np.testing.assert_allclose(np.concatenate(got), slow_log_probs(model, ids, Vocabulary.end_id), atol=2e-5)


@pytest.mark.parametrize("carry_state", [False, True])
def test_without_a_beginning_the_bias_predicts_the_first_token(carry_state):
    model = small(cell="gru", num_layers=2, carry_state=carry_state).fit(LINES)
    sentences = [line.split() for line in LINES[:5]] + [[], ["unheard-of", "cat"]]
    bias = model.network_.output.parameters["bias"].astype(float)
    for sentence, got in zip(sentences, model.token_log_probs(sentences, bos=False), strict=True):
        first, *others = [*model.vocabulary_.encode(sentence), Vocabulary.end_id]
        expected = [bias[first] - np.log(np.exp(bias).sum())]
        if others:
            expected.extend(slow_log_probs(model, others, first))
        np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("options", [{}, {"tie_weights": True, "embedding_dropout": 0.2}])
def test_a_batch_of_few_tokens_is_computed_token_by_token(options, monkeypatch):
    text, models = ["ab ba bab " * 200], []
    for occurrences in (2, 10**6):
        monkeypatch.setattr("fastrnn.networks.language._OCCURRENCES", occurrences)
        settings = {"tokenizer": "chars", "hidden_size": 16, "embedding_size": 16, "input_dropout": 0.0, "max_iter": 2}
        models.append(RNNLanguageModel(random_state=0, **settings, **options).fit(text))
    few, many = models
    np.testing.assert_allclose(few.loss_curve_, many.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(few.score_samples(text), many.score_samples(text), rtol=1e-3)


def test_without_carried_state_every_sentence_stands_alone():
    model = small(carry_state=False).fit(LINES)
    sentences = [line.split() for line in LINES[:3]] + [[], ["cat"] * 150]
    together = model.token_log_probs(sentences)
    for sentence, got in zip(sentences, together, strict=True):
        ids = model.vocabulary_.encode([*sentence, "</s>"])
        np.testing.assert_allclose(got, slow_log_probs(model, ids, Vocabulary.start_id), atol=2e-5)
        np.testing.assert_allclose(model.token_log_probs([sentence])[0], got, atol=1e-5)


@pytest.mark.parametrize("carry_state", [True, False])
def test_learns(carry_state):
    model = small(max_iter=20, carry_state=carry_state).fit(LINES)
    assert model.perplexity(LINES) < 2
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.predict(["the cat sat on"]).tolist() == ["the"]
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_)


@pytest.mark.parametrize(
    "options",
    [
        {"bptt_stride": 3},
        {"num_layers": 2, "residual": True},
        {"dropout": 0.2, "locked_dropout": True, "recurrent_dropout": 0.1, "weight_dropout": 0.1, "zoneout": 0.1,
         "embedding_dropout": 0.1},
        {"activity_penalty": 1e-3, "temporal_activity_penalty": 1e-3},
        {"cell": "lstm_peephole"},
    ],
    ids=str,
)  # fmt: skip
def test_learns_under_every_regularizer(options):
    model = small(max_iter=20, **options).fit(LINES)
    assert model.perplexity(LINES) < 3
    assert model.predict(["the cat sat on"]).tolist() == ["the"]


def test_penalties_make_activations_smaller_and_smoother():
    activations = []
    for options in ({}, {"activity_penalty": 1.0}, {"temporal_activity_penalty": 1.0}):
        model = small(max_iter=10, early_stopping=False, **options).fit(LINES)
        ids, _ = close_sentences(*model.vocabulary_.encode_corpus([line.split() for line in LINES]))
        activations.append(model.network_.hidden(ids[:, None])[0])
    plain, small_ones, smooth_ones = activations
    assert (small_ones**2).mean() < 0.8 * (plain**2).mean()
    assert (np.diff(smooth_ones, axis=0) ** 2).mean() < 0.8 * (np.diff(plain, axis=0) ** 2).mean()


def test_loss_is_the_mean_cross_entropy_of_a_step():
    model = small(max_iter=1, learning_rate_init=1e-12, early_stopping=False).fit(LINES)
    assert model.loss_curve_[0] == pytest.approx(-model.score(LINES), rel=1e-3)
    assert model.validation_scores_ == []


@pytest.mark.parametrize("carry_state", [True, False])
def test_contexts_give_the_probabilities_that_scoring_uses(carry_state):
    model = small(carry_state=carry_state, num_layers=2).fit(LINES)
    sentence = "the dog sat".split()
    contexts = [sentence[:k] for k in range(4)]
    proba = model.predict_proba(contexts)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)
    ids = model.vocabulary_.encode([*sentence, "</s>"])
    np.testing.assert_allclose(np.log(proba[np.arange(4), ids]), model.token_log_probs([sentence])[0], atol=1e-5)


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"cell": "gru", "num_layers": 2}, {"carry_state": False}])
def test_contexts_are_read_a_few_at_a_time(options, monkeypatch):
    model = small(**{"cell": "rnn", **options}).fit(LINES)
    contexts = ["the cat sat on the mat", "", "the " * 20, "a", "the dog " * 4, "cat"]
    expected, long = model.predict_proba(contexts), model.predict_proba(["the cat " * 40])
    monkeypatch.setattr("fastrnn.language.recurrent_inference._CONTEXTS", 4)
    monkeypatch.setattr("fastrnn.language.recurrent_inference._SCORING_STEPS", 3)
    np.testing.assert_array_equal(model.predict_proba(contexts), expected)
    state = model.read("the cat " * 39, state=model.read("the cat"))
    np.testing.assert_array_equal(model._next_probabilities(state), long)
    np.testing.assert_allclose(model.predict_proba(["the cat " * 40] * 5), np.repeat(long, 5, axis=0), rtol=1e-5)
    assert model.predict_proba([]).shape == (0, len(model.vocabulary_))


def test_sampling_equals_predicting_again_from_the_longer_text():
    model = small(max_iter=6).fit(LINES)
    (text,) = model.sample(max_length=6, top_k=1, prompt="the")
    tokens = ["the"]
    while len(tokens) < 7 and (token := model.predict([tokens])[0]) != "</s>":
        tokens.append(token)
    assert text == " ".join(tokens)
    assert model.sample(3, random_state=1) == model.sample(3, random_state=1)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_same_seed_gives_the_same_model(n_jobs):
    options = {"dropout": 0.3, "num_layers": 2, "n_jobs": n_jobs, "max_iter": 3}
    first, second = (small(**options).fit(LINES) for _ in range(2))
    for name, array in first.network_.parameters.items():
        np.testing.assert_array_equal(array, second.network_.parameters[name], err_msg=name)
    assert first.loss_curve_ == second.loss_curve_


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "num_layers": 2, "residual": True, "embedding_size": 9},
                                     {"num_layers": 2, "zoneout": 0.2, "carry_state": True}])  # fmt: skip
def test_drawn_tokens_are_those_that_are_predicted_one_by_one(options):
    model = small(**options).fit(LINES)
    text = ["the"]
    while len(text) < 300 and (token := model.predict([text])[0]) != "</s>":
        text.append(token)
    assert model.sample(max_length=299, top_k=1, prompt="the") == [" ".join(text)]
    assert model.sample(3, max_length=299, top_k=1, prompt="the") == [" ".join(text)] * 3


def test_drawn_tokens_have_the_predicted_shares():
    model = small().fit(LINES)
    first = [text.split()[0] if text else "</s>" for text in model.sample(6000, max_length=1, random_state=0)]
    names = model.vocabulary_.tokens
    p = model.predict_proba([""])[0]
    p[[names.index(token) for token in ("<pad>", "<unk>", "<s>")]] = 0
    np.testing.assert_allclose([first.count(token) / 6000 for token in names], p / p.sum(), atol=0.03)


def test_threads_do_not_change_what_is_drawn(monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    model = small(cell="gru", n_jobs=1).fit(LINES)
    alone = model.sample(20, random_state=0)
    model.network_.recurrent.n_jobs = 3
    assert model.sample(20, random_state=0) == alone


def test_the_number_of_threads_changes_nothing(monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    first, second = (small(n_jobs=n_jobs).fit(LINES) for n_jobs in (1, 3))
    for name, array in first.network_.parameters.items():
        np.testing.assert_array_equal(array, second.network_.parameters[name], err_msg=name)


def test_validation_text_chooses_the_weights():
    model = small(max_iter=4, learning_rate_init=3.0, clip_norm=None, n_iter_no_change=9)
    model.fit(LINES, X_val=LINES[:10])
    assert model.score(LINES[:10]) == pytest.approx(max(model.validation_scores_), rel=1e-5)


def test_the_validation_part_is_not_learned_from():
    with_rare = [*LINES, "zebra zebra zebra ."]
    model = small(validation_fraction=1 / len(with_rare)).fit(with_rare)
    assert "zebra" not in model.vocabulary_
    model = small(early_stopping=False).fit(with_rare)
    assert "zebra" in model.vocabulary_


def test_one_document_is_split_by_tokens():
    model = small(tokenizer="chars").fit(["hello world " * 50])
    assert len(model.validation_scores_) == model.n_iter_
    with pytest.raises(ValueError, match="too short to set a part aside"):
        small(tokenizer="chars").fit(["h"])


def test_warm_start_and_partial_fit_go_on():
    model = small(warm_start=True, early_stopping=False).fit(LINES)
    before = model.score(LINES)
    model.fit(LINES)
    assert model.n_iter_ == 4
    assert model.score(LINES) > before
    again = small(early_stopping=False)
    for _ in range(4):
        again.partial_fit(LINES)
    assert again.n_iter_ == 4
    assert again.score(LINES) > before
    vocabulary = again.vocabulary_
    again.partial_fit(["something else entirely"])
    assert again.vocabulary_ is vocabulary
    assert small(early_stopping=False).fit(LINES).fit(LINES).n_iter_ == 2


def test_an_interrupt_keeps_the_finished_epochs(monkeypatch):
    reference_model = small(max_iter=2).fit(LINES)
    from fastrnn.networks.language import LanguageNetwork

    original, calls = LanguageNetwork.train_step, []
    text = close_sentences(*reference_model.vocabulary_.encode_corpus([line.split() for line in LINES[:-4]]))
    steps = len(reference_model._epochs(reference_model._settings(), text, None)())

    def step(self, batch):
        calls.append(batch)
        if len(calls) == 2 * steps + 2:
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(LanguageNetwork, "train_step", step)
    model = small(max_iter=5)
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 3"):
        model.fit(LINES)
    assert model.n_iter_ == 2
    for name, array in model.network_.parameters.items():
        np.testing.assert_array_equal(array, reference_model.network_.parameters[name], err_msg=name)
    assert model.perplexity(LINES) < len(model.vocabulary_)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a child there")
def test_ctrl_c_from_outside(tmp_path):
    script = textwrap.dedent(
        """
        import signal, sys, warnings
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
        from fastrnn import RNNLanguageModel
        model = RNNLanguageModel(hidden_size=8, embedding_size=8, max_iter=10**6, early_stopping=False, random_state=0)
        original = model._epochs
        def epochs(*args):
            batches = original(*args)
            def announced():
                announced.count += 1
                if announced.count == 3:
                    print("training", flush=True)
                return batches()
            announced.count = 0
            return announced
        model._epochs = epochs
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(["the cat sat on the mat"] * 50)
        print(len(caught), model.n_iter_ >= 2, model.perplexity(["the cat"]) > 1, flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "training\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert output == "1 True True\n"


def test_a_diverging_training_stops_with_finite_weights_or_an_error(monkeypatch):
    model = small(cell="rnn_relu", optimizer="sgd", learning_rate_init=1e30, clip_norm=None)
    with pytest.raises(ValueError, match="infinite or NaN in the first epoch: nothing was learned"):
        model.fit(LINES)
    assert not hasattr(model, "network_")
    monkeypatch.setattr(Schedule, "at", lambda self, step, share: 0.01 if share < 0.5 else self.rate)
    with pytest.warns(ConvergenceWarning, match="infinite or NaN in epoch 2"):
        model.fit(LINES)
    assert all(np.isfinite(array).all() for array in model.network_.parameters.values())
    assert np.isfinite(model.perplexity(LINES))
    assert np.isfinite(model.set_params(learning_rate_init=0.01).fit(LINES).perplexity(LINES))


@pytest.mark.parametrize("tie_weights", [False, True])
def test_save_and_load(tmp_path, tie_weights):
    model = small(tie_weights=tie_weights, embedding_size=9).fit(LINES)
    model.save(tmp_path / "model.safetensors")
    loaded = RNNLanguageModel.load(tmp_path / "model.safetensors")
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.score_samples(LINES), model.score_samples(LINES))
    assert loaded.n_parameters_ == model.n_parameters_
    assert loaded.loss_curve_ == model.loss_curve_
    loaded.partial_fit(LINES)


def test_pickle_and_clone():
    model = small(num_layers=2).fit(LINES)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.score_samples(LINES), model.score_samples(LINES))
    copied.partial_fit(LINES)
    assert not hasattr(clone(model), "network_")


def test_a_recipe_takes_the_place_of_defaults_only():
    model = small(recipe="awd", learning_rate_init=1.0, hidden_size=10, num_layers=2)
    used = model._settings()
    assert (used.input_dropout, used.weight_dropout, used.averaging, used.tie_weights) == (0.4, 0.5, "asgd", True)
    assert (used.learning_rate_init, used.hidden_size, used.bptt_length) == (1.0, 10, 8)
    assert {**vars(used), **RECIPES["awd"], "learning_rate_init": 1.0, "bptt_length": 8} == vars(used)
    assert model.get_params()["weight_dropout"] == 0.0
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    model.fit(LINES)
    network = model.network_
    assert network.recurrent.weight_dropout == 0.5
    assert [layer.p for layer in network.dropouts] == [0.4, 0.4]
    assert all(layer.locked for layer in network.dropouts)
    assert network.output.parameters["weight"] is network.embedding.parameters["weight"]
    assert network.output.parameters["projection"].shape == (7, 10)
    assert model.score(LINES) > -np.log(len(model.vocabulary_))


@pytest.mark.parametrize("options", [{"softmax": "adaptive"}, {"softmax": "sampled", "softmax_samples": 4},
                                     {"softmax": "sampled", "softmax_samples": 4, "tie_weights": True},
                                     {"tie_weights": True}], ids=str)  # fmt: skip
def test_every_output_learns_scores_draws_and_is_saved(options, tmp_path):
    model = small(max_iter=20, **options).fit(LINES)
    assert model.perplexity(LINES) < 3
    assert model.predict(["the cat sat on"]).tolist() == ["the"]
    proba = model.predict_proba(["the cat", ""])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    tokens = model.vocabulary_.encode(["the", "cat", "</s>"])
    np.testing.assert_allclose(model.token_log_probs(["the cat"])[0][2], np.log(proba[0, tokens[2]]), atol=1e-5)
    (text,) = model.sample(max_length=5, top_k=1, prompt="the cat")
    drawn = ["the", "cat"]
    while len(drawn) < 7 and (token := model.predict([drawn])[0]) != "</s>":
        drawn.append(token)
    assert text == " ".join(drawn)
    model.save(tmp_path / "model.safetensors")
    loaded = RNNLanguageModel.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.score_samples(LINES), model.score_samples(LINES))
    assert loaded.network_.buffers.keys() == model.network_.buffers.keys()
    for name, counts in model.network_.buffers.items():
        np.testing.assert_array_equal(loaded.network_.buffers[name], counts)
    assert ("output.counts" in model.network_.buffers) == ("softmax" in options)
    loaded.partial_fit(LINES)


def test_a_cosine_with_warm_up_learns():
    model = small(max_iter=12, schedule="cosine", warmup=10, averaging="ema", averaging_decay=0.9).fit(LINES)
    assert model.perplexity(LINES) < 3


def test_smoothed_labels_leave_some_probability_to_all_tokens(tmp_path):
    plain, smoothed = (small(max_iter=20, label_smoothing=share).fit(LINES) for share in (0.0, 0.5))
    least = [model.predict_proba([LINES[0]]).min() for model in (plain, smoothed)]
    assert least[1] > 3 * least[0]
    assert smoothed.loss_curve_[-1] > plain.loss_curve_[-1]
    smoothed.save(tmp_path / "smoothed")
    assert RNNLanguageModel.load(tmp_path / "smoothed").label_smoothing == 0.5


def test_sizes():
    model = small(cell="gru").fit(LINES)
    v, d, h = len(model.vocabulary_), 7, 9
    assert model.n_parameters_ == v * d + 3 * h * (d + h + 2) + v * h + v
    assert model.nbytes_ == 4 * model.n_parameters_
    tied = small(cell="gru", embedding_size=9, tie_weights=True).fit(LINES)
    assert tied.n_parameters_ == v * h + 3 * h * (2 * h + 2) + v


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstmm"}, "cell must be one of .* did you mean 'lstm'"),
        ({"hidden_size": 0}, "hidden_size must be an integer of at least 1, got 0"),
        ({"dropout": 1.0}, "must be at least 0 and below 1, got 1.0"),
        ({"optimizer": "adan"}, "optimizer must be one of .*'adam'"),
        ({"tie_weights": True, "softmax": "adaptive"}, "tie_weights=True needs softmax='full' or 'sampled'"),
        ({"softmax": "tree"}, "softmax must be one of .*'adaptive'"),
        ({"softmax": "adaptive", "softmax_cutoffs": [9, 4]}, "softmax_cutoffs must be rising integers from 1 to"),
        ({"softmax": "sampled", "softmax_samples": 0}, "softmax_samples must be an integer of at least 1, got 0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1, got 1.0"),
        ({"label_smoothing": 0.1, "softmax": "sampled"}, "label_smoothing must be 0 with softmax='sampled', got 0.1"),
        ({"schedule": "linear"}, "schedule must be one of .*'plateau'"),
        ({"warmup": -1}, "warmup must be an integer of at least 0, got -1"),
        ({"accumulate_steps": 0}, "accumulate_steps must be an integer of at least 1, got 0"),
        ({"averaging": "mean"}, "averaging must be one of None, 'ema', 'asgd', got 'mean'"),
        ({"averaging": "ema", "averaging_decay": 1.5}, "averaging_decay must be at least 0 and below 1, got 1.5"),
        ({"averaging_patience": 0}, "averaging_patience must be an integer of at least 1, got 0"),
        ({"averaging": "asgd", "early_stopping": False}, "averaging='asgd' needs a validation text"),
        ({"random_bptt": True, "bptt_stride": 3}, "random_bptt=True needs carry_state=True and bptt_stride=None"),
        ({"input_dropout": 1.0}, "input_dropout must be at least 0 and below 1, got 1.0"),
        ({"recipe": "adw"}, r"recipe must be None or 'awd', got 'adw'"),
        ({"bptt_stride": 9}, "bptt_stride must be None or an integer from 1 to bptt_length"),
        ({"activity_penalty": -1.0}, "activity_penalty must be a number of at least 0"),
        ({"clip_norm": 0}, "clip_norm must be None or a number above 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be between 0 and 1"),
        ({"device": "tpu"}, "device must be one of 'auto', 'cpu', 'cuda', got 'tpu'"),
        ({"precision": "low"}, "precision must be one of 'highest', 'high', 'medium', got 'low'"),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0"),
        ({"tokenizer": "word"}, "tokenizer must be"),
        ({"min_count": 10**6}, "nothing to learn"),
        ({"learning_rate_init": -1.0}, "learning_rate"),
    ],
)
def test_bad_parameters_are_named_and_leave_the_model_as_it_was(options, message):
    model = small().fit(LINES)
    before = model.score_samples(LINES)
    network = model.network_
    model.set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(LINES)
    model.set_params(**small().get_params())
    assert model.network_ is network
    np.testing.assert_array_equal(model.score_samples(LINES), before)


@pytest.mark.parametrize(
    ("X", "message"),
    [("a bare string", "Iterable over raw text documents expected"), ([], "X is empty"), ([1], r"X\[0\] must be")],
)
def test_bad_texts_are_named(X, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X)
    with pytest.raises(ValueError, match="X_val is empty"):
        small().fit(LINES, X_val=[])


def test_before_fit():
    with pytest.raises(NotFittedError):
        small().score(LINES)
    assert not hasattr(small(), "n_parameters_")


@pytest.mark.parametrize("changed", [{"hidden_size": 5}, {"cell": "gru"}, {"num_layers": 2}, {"tie_weights": True},
                                     {"zoneout": 0.3}, {"recipe": "awd"}, {"embedding_size": 4}])  # fmt: skip
def test_parameters_set_after_fit_change_nothing_until_the_next_fit(changed, tmp_path):
    model = small(max_iter=1, embedding_size=9).fit(LINES)
    expected = model.score_samples(LINES[:3])
    model.set_params(**changed)
    np.testing.assert_array_equal(model.score_samples(LINES[:3]), expected)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(RNNLanguageModel.load(tmp_path / "model").score_samples(LINES[:3]), expected)
