"""N-gram models beside NLTK's on the same padded text."""

import numpy as np
import pytest

from fastrnn.ngram import NGramLanguageModel
from tests.ngram_texts import zipf_text

nltk_lm = pytest.importorskip("nltk.lm")
from nltk.util import everygrams  # noqa: E402


def pad(sentence, order):
    return ["<s>"] * (order - 1) + sentence + ["</s>"]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (nltk_lm.MLE, {"smoothing": "mle"}),
        (nltk_lm.Laplace, {"smoothing": "laplace"}),
        (lambda order: nltk_lm.Lidstone(0.3, order), {"smoothing": "add_k", "k": 0.3}),
    ],
)
def test_as_nltk(make, parameters, order):
    train, test = zipf_text(0, 60, 30), zipf_text(1, 15, 40)
    theirs = make(order)
    padded = [pad(sentence, order) for sentence in train]
    theirs.fit([list(everygrams(sentence, max_len=order)) for sentence in padded], [w for s in padded for w in s])
    # NLTK counts <s> among the words that may come next, if there is one.
    ours = NGramLanguageModel(order, vocab_pad=len(theirs.vocab), **parameters).fit(train)
    n_compared = 0
    for sentence in test:
        padded = pad(sentence, order)
        for i, row in enumerate(ours.predict_proba([sentence[:i] for i in range(len(sentence) + 1)])):
            context = padded[i : i + order - 1]
            for word in ["</s>", "<unk>", *ours.vocabulary_.tokens[4:]]:
                expected = theirs.score(word.replace("<unk>", "<UNK>"), context)
                assert row[ours.vocabulary_.tokens.index(word)] == pytest.approx(expected, rel=1e-6)
                n_compared += 1
    assert n_compared > 1000
    expected = [
        sum(
            theirs.logscore(word, pad(sentence, order)[i : i + order - 1]) for i, word in enumerate([*sentence, "</s>"])
        )
        for sentence in test
    ]
    np.testing.assert_allclose(ours.score_samples(test) / np.log(2), expected, rtol=1e-6)
