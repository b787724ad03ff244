"""RNNTranslator: predictions, probabilities, alignments, tokenizers, and data that cannot be used."""

import copy

import numpy as np
import pytest

import fastrnn
from fastrnn import RNNTranslator
from fastrnn.text.tokens import END_ID

WORDS = {"one": "1", "two": "2", "three": "3"}
X = ["one two", "two one three", "three", "two two", "", "three one", "one one two", "two three", "one", "two"]
Y = [" ".join(WORDS[word] for word in text.split()) for text in X]
SMALL = {"embedding_size": 8, "hidden_size": 16, "dropout": 0.0, "label_smoothing": 0.0, "learning_rate_init": 0.02,
         "batch_size": 4, "max_iter": 40, "n_jobs": 1, "random_state": 0}  # fmt: skip


@pytest.fixture(scope="module", params=[False, True])
def model(request):
    return RNNTranslator(**SMALL, input_feeding=request.param).fit(X, Y)


def test_whole_numbers_are_tokens(tmp_path):
    sources, targets = [[1, 2], [2], [], [2, 1]] * 3, [[10, 20], [20], [], [20, 10]] * 3
    model = RNNTranslator(**SMALL).fit(np.array(sources, object), targets)
    assert model.predict(sources) == targets
    assert model.predict_log_proba([[1, 2]], [[10, 20]])[0].tolist() == pytest.approx([0] * 3, abs=0.1)
    assert model.predict([np.array([2, 1])]) == [[20, 10]]
    model.save(tmp_path / "model")
    assert fastrnn.load(tmp_path / "model").predict(sources[:2]) == targets[:2]


def test_what_was_learned_is_written(model):
    assert model.predict(X) == Y
    assert model.predict(X, beam_width=1) == Y
    assert model.predict(iter(X)) == Y
    assert model.predict([]) == model.predict_log_proba([], []) == []
    assert model.transform([]).shape == (0, 32)


def test_probabilities_agree_with_each_other(model):
    parts = model.predict_log_proba(X, Y)
    assert [len(part) for part in parts] == [len(text.split()) + 1 for text in Y]
    sums = model.score_samples(X, Y)
    assert sums == pytest.approx([part.sum() for part in parts])
    assert model.score(X, Y) == pytest.approx(np.concatenate(parts).mean())
    weights = np.arange(len(X))
    lengths = np.array([len(part) for part in parts])
    assert model.score(X, Y, weights) == pytest.approx(weights @ sums / (weights @ lengths))


def test_the_probabilities_of_all_targets_of_a_token_and_the_end_add_up(model):
    known = model.target_vocabulary_.tokens[4:]
    first = [model.predict_log_proba(["two"], [[token]])[0][0] for token in known]
    end, unknown = model.predict_log_proba(["two"] * 2, [[], ["never seen"]])
    rest = np.exp([*first, end[0], unknown[0]]).sum()
    assert 0.99 < rest < 1  # <s> and <pad> have a little


def test_predictions_do_not_depend_on_what_stands_beside(model):
    sources = [*X, "two nobody two"]
    together = model.predict(sources), model.transform(sources)
    for i, text in enumerate(sources):
        assert model.predict([text]) == [together[0][i]]
        np.testing.assert_array_equal(model.transform([text])[0], together[1][i])


def test_align_shows_where_the_decoder_looks(model):
    alignments = model.align(X)
    for text, target, (sources, targets, weights) in zip(X, Y, alignments, strict=True):
        assert sources == text.split()
        assert targets == [*target.split(), "</s>"]
        assert weights.shape == (len(targets), len(sources))
        assert weights.sum(axis=1) == pytest.approx(1 if sources else 0, abs=1e-5)
    given = model.align(["two one"], ["2 2 2"])[0]
    assert given.targets == ["2", "2", "2", "</s>"]


def test_a_model_without_attention_has_no_alignments():
    model = RNNTranslator(**{**SMALL, "max_iter": 2}, attention=None).fit(X, Y)
    with pytest.raises(ValueError, match="fitted with attention=None"):
        model.set_params(attention="dot").align(X)
    assert "<unk>" not in " ".join(model.predict(["never seen"]))


def test_an_unknown_word_is_copied():
    names = ["Ann", "Bob", "Cy", "Dora", "Eve", "Fay"]
    pairs = [(f"{name} sings", f"SINGS {name}") for name in names] + [
        (f"{name} eats", f"EATS {name}") for name in names
    ]
    sources, targets = zip(*pairs, strict=True)
    model = RNNTranslator(**{**SMALL, "max_iter": 60, "min_count": 3}).fit(list(sources), list(targets))
    looked_at = model.align(["Zoe sings"], [["SINGS", "<unk>"]])[0]
    copied = looked_at.sources[looked_at.weights[1].argmax()]
    assert model.predict(["Zoe sings", "Ann eats"], beam_width=1) == [f"SINGS {copied}", "EATS Ann"]
    model.replace_unknown = False
    assert "<unk>" not in model.predict(["Zoe sings"])[0]


@pytest.mark.parametrize("tokenizer", ["chars", ("words", "chars"), None, (str.split, "bytes")])
def test_tokenizers(tokenizer):
    as_lists = tokenizer is None
    sources, targets = ([text.split() for text in texts] for texts in (X, Y)) if as_lists else (X, Y)
    model = RNNTranslator(**{**SMALL, "max_iter": 2}, tokenizer=tokenizer).fit(sources, targets)
    predicted = model.predict(sources)
    assert {type(target) for target in predicted} == {list if as_lists else str}
    expected = {"chars": list(" enorthw"), None: sorted(WORDS)}.get(tokenizer, sorted(WORDS))
    assert sorted(model.source_vocabulary_.tokens[4:]) == sorted(expected)


def test_subwords_are_learned_in_fit(tmp_path):
    pytest.importorskip("tokenizers")
    options = {**SMALL, "max_iter": 1, "tokenizer": "subwords", "vocab_size": (270, 262)}
    model = RNNTranslator(**options).fit(X, Y)
    assert model.tokenizer == "subwords"
    assert any(len(token) > 2 for token in model.source_vocabulary_.tokens[4:])
    model.save(tmp_path / "model")
    again = fastrnn.load(tmp_path / "model")
    assert again.score_samples(X, Y).tolist() == model.score_samples(X, Y).tolist()
    shared = RNNTranslator(**options, share_vocabulary=True).fit(X, Y)
    assert shared.source_vocabulary_ is shared.target_vocabulary_


def test_a_shared_vocabulary_has_one_embedding():
    options = {**SMALL, "max_iter": 2, "share_vocabulary": True}
    model = RNNTranslator(**options, tie_weights=True).fit(X, Y)
    assert model.source_vocabulary_ == model.target_vocabulary_
    assert set(model.source_vocabulary_.tokens[4:]) == {*WORDS, *WORDS.values()}
    apart = RNNTranslator(**options).fit(X, Y)
    size, read = len(model.source_vocabulary_), 16 + 2 * 16 + 1  # columns of the readout: state, context, bias
    assert apart.n_parameters_ - model.n_parameters_ == size * 16 + read * (16 - 8)


def test_files_hold_everything(model, tmp_path):
    model.save(tmp_path / "model")
    again = fastrnn.load(tmp_path / "model")
    assert isinstance(again, RNNTranslator)
    assert again.predict(X) == Y
    assert again.score_samples(X, Y).tolist() == model.score_samples(X, Y).tolist()
    assert again.get_params() == model.get_params()


def test_long_sequences_are_cut():
    options = {**SMALL, "max_iter": 1, "max_length": 2}
    with pytest.warns(UserWarning, match="2 of 10 sequences of X are longer than max_length, 2 steps"):  # noqa: SIM117
        with pytest.warns(UserWarning, match="of 10 sequences of y are longer than max_length"):
            model = RNNTranslator(**options).fit(X, Y)
    with pytest.warns(UserWarning, match="longer than max_length"):
        cut = model.predict(["two one three"])
    assert cut == model.predict(["two one"])
    with pytest.warns(UserWarning, match="longer than max_length"):
        assert len(model.predict_log_proba(["two one three"], ["2 1 3"])[0]) == 4


def test_training_goes_on(model):
    again = copy.deepcopy(model)
    before = again.score(X, Y)
    again.partial_fit(X, Y)
    assert again.n_iter_ == model.n_iter_ + 1
    again.set_params(warm_start=True, max_iter=5, learning_rate_init=0.005).fit(X, Y)
    assert again.n_iter_ == model.n_iter_ + 6
    assert again.score(X, Y) > before
    new = RNNTranslator(**SMALL).partial_fit(X, Y)
    assert new.n_iter_ == 1


def test_a_checkpoint_resumes_a_training(tmp_path):
    options = {**SMALL, "dropout": 0.2, "label_smoothing": 0.1, "averaging": "ema"}
    whole = RNNTranslator(**{**options, "max_iter": 4}, schedule="constant").fit(X, Y)
    part = RNNTranslator(**{**options, "max_iter": 2}, schedule="constant")
    part.fit(X, Y, checkpoint=tmp_path / "c")
    part.set_params(max_iter=4).fit(X, Y, checkpoint=tmp_path / "c")
    assert part.score_samples(X, Y).tolist() == whole.score_samples(X, Y).tolist()
    with pytest.raises(ValueError, match="another y"):
        part.fit(X, Y[::-1], checkpoint=tmp_path / "c")


def test_scheduled_sampling_changes_the_training():
    options = {**SMALL, "max_iter": 3}
    true, sampled = (RNNTranslator(**options, scheduled_sampling=p).fit(X, Y) for p in (0.0, 0.5))
    assert sampled.loss_curve_[-1] > true.loss_curve_[-1]


def test_validation_keeps_the_best_weights():
    options = {**SMALL, "max_iter": 3, "learning_rate_init": 0.5}
    model = RNNTranslator(**options).fit(X, Y, X_val=X[:4], y_val=Y[:4])
    assert model.score(X[:4], Y[:4]) == pytest.approx(max(model.validation_scores_))
    model = RNNTranslator(**options, early_stopping=True).fit(X, Y)
    assert len(model.validation_scores_) == model.n_iter_
    stalled = {**options, "learning_rate_init": 0.0, "max_iter": 200}
    assert RNNTranslator(**stalled).fit(X, Y, X_val=X, y_val=Y).n_iter_ == 1 + 167  # epochs of three batches
    assert RNNTranslator(**stalled, n_iter_no_change=2).fit(X, Y, X_val=X, y_val=Y).n_iter_ == 1 + 2
    with pytest.raises(ValueError, match="averaging='asgd' needs validation data"):
        RNNTranslator(**options, averaging="asgd").fit(X, Y)


def test_weights_of_pairs():
    options = {**SMALL, "max_iter": 40, "batch_size": 20}
    sources, targets = ["a", "a"] * 10, ["b", "c"] * 10
    model = RNNTranslator(**options).fit(sources, targets, [3, 1] * 10)
    b, c = (np.exp(part[0]) for part in model.predict_log_proba(["a", "a"], ["b", "c"]))
    assert b == pytest.approx(3 * c, rel=0.2)
    alone = RNNTranslator(**options).fit(sources, targets, [1, 0] * 10)
    assert alone.predict(["a"]) == ["b"]


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        (X, Y[:-1], "X and y must have the same number of samples"),
        ([], [], "at least one"),
        (X, None, "y is None"),
        ("one two", Y, "string object received"),
        (X, "1 2", "string object received"),
        (X, [*Y[:3], None, *Y[4:]], r"y\[3\] must be a string, as y\[0\] is, got None: leave missing texts out"),
        ([*X[:2], float("nan"), *X[3:]], Y, r"X\[2\] must be a string"),
        (X, [5] * 10, r"y\[0\] must be a string or a list of tokens, got 5"),
        (X, [["1", 2]] * 10, r"y\[0\]\[1\] must be a token \(a string\), got 2"),
        (X, [["1", "</s>"]] * 10, r"y\[0\] contains the token '</s>', which is reserved"),
        ([text.split() for text in X[:5]] + X[5:], Y, r"X\[5\] must be a list of tokens, as X\[0\] is"),
        ({"a": "b"}, Y, "X must be an iterable of texts, got a dict"),
        ([[1, 2]] * 9 + [[1, "2"]], Y, r"X\[9\] must be a list of whole numbers, as those before"),
        ([[1, 2]] * 9 + [None], Y, r"X\[9\] must be a list of whole numbers"),
        (X, [""] * 10, "y has no token that appears min_count=1 times"),
    ],
)
def test_data_that_cannot_be_used(model, sources, targets, message):
    used = copy.deepcopy(model)
    with pytest.raises(ValueError, match=message):
        used.fit(sources, targets)
    assert used.predict(X) == Y


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"attention": "dots"}, "attention must be one of"),
        ({"tokenizer": ("words", "letters")}, "tokenizer must be"),
        ({"schedule": "steps"}, "schedule must be"),
        ({"batch_size": "large"}, "batch_size must be an integer of at least 1, got 'large'"),
        ({"warmup": -1}, "warmup must be"),
        ({"max_length": (5, 0)}, "max_length must be an integer of at least 1"),
        ({"label_smoothing": 1.0}, "label_smoothing must be"),
        ({"scheduled_sampling": -0.1}, "scheduled_sampling must be"),
        ({"tokenizer": ("words", "chars", "bytes")}, "tokenizer must be one value, or a pair"),
        ({"lowercase": "yes"}, "lowercase must be"),
        ({"vocab_size": 0}, "vocab_size must be"),
        ({"max_vocab": (3, None)}, "max_size must be"),
        ({"share_vocabulary": "yes"}, "share_vocabulary must be"),
        ({"tokenizer": None}, r"X\[0\] must be a list of tokens with tokenizer=None, got 'one two'"),
    ],
)
def test_parameters_that_cannot_be_used(params, message):
    with pytest.raises(ValueError, match=message):
        RNNTranslator(**{**SMALL, **params}).fit(X, Y)


def test_subwords_need_texts():
    with pytest.raises(ValueError, match="X must be texts with tokenizer='subwords', got lists of tokens"):
        RNNTranslator(**SMALL, tokenizer="subwords").fit([text.split() for text in X], Y)


def test_numbers_of_sources_and_targets_agree_in_every_method(model):
    for method in ("predict_log_proba", "score_samples", "score", "align"):
        with pytest.raises(ValueError, match=r"X and Y must have the same number of samples"):
            getattr(model, method)(X, Y[:3])


def test_the_end_is_the_last_token(model):
    ids = model._target.encode(Y)
    assert (ids.values[ids.offsets[1:] - 1] == END_ID).all()
