import collections
import math
import sys

import numpy as np
import pytest

from fastrnn.metrics import bleu, chrf

TRUE = ["the cat sat on the mat today", "a small dog ran far away", "it was very late"]
PREDICTED = ["the cat sat on a mat", "a dog ran far away", "it was very late indeed"]


def grams(tokens, n):
    return collections.Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def reference_bleu(references, predictions):
    """Return BLEU as the paper defines it; `references` has a list of texts for each prediction."""
    logs = 0.0
    for n in range(1, 5):
        shared = total = 0
        for found, predicted in zip(references, predictions, strict=True):
            counts, most = grams(predicted.split(), n), collections.Counter()
            for text in found:
                most |= grams(text.split(), n)
            shared, total = shared + (counts & most).total(), total + counts.total()
        logs += math.log(shared / total) / 4
    length = sum(len(text.split()) for text in predictions)
    pairs = zip(references, predictions, strict=True)
    closest = sum(
        min((abs(len(text.split()) - len(predicted.split())), len(text.split())) for text in found)[1]
        for found, predicted in pairs
    )
    return 100 * math.exp(logs + min(0, 1 - closest / length))


def reference_chrf(true, predicted):
    """Return chrF of pairs of texts: the mean over n of precision and of recall, and their F2."""
    precisions, recalls = [], []
    for n in range(1, 7):
        pairs = [
            (grams(a.replace(" ", ""), n), grams(b.replace(" ", ""), n)) for a, b in zip(true, predicted, strict=True)
        ]
        shared = sum((a & b).total() for a, b in pairs)
        precisions.append(shared / sum(b.total() for _, b in pairs))
        recalls.append(shared / sum(a.total() for a, _ in pairs))
    precision, recall = np.mean(precisions), np.mean(recalls)
    return 100 * 5 * precision * recall / (4 * precision + recall)


def test_bleu_is_that_of_the_paper():
    assert bleu(TRUE, PREDICTED) == pytest.approx(reference_bleu([[text] for text in TRUE], PREDICTED))
    assert bleu(TRUE, TRUE) == pytest.approx(100)
    tokens = [[text.split() for text in texts] for texts in (TRUE, PREDICTED)]
    assert bleu(*tokens) == bleu(TRUE, PREDICTED)


def test_bleu_with_several_references():
    references = [[TRUE[0], "the cat was sitting on a mat"], TRUE[1], [TRUE[2]]]
    expected = reference_bleu([references[0], [TRUE[1]], [TRUE[2]]], PREDICTED)
    assert bleu(references, PREDICTED) == pytest.approx(expected)
    assert expected > bleu(TRUE, PREDICTED)


def test_tokens_of_bleu():
    assert bleu(["Well, it works."], ["Well , it works ."]) == pytest.approx(100)
    assert bleu(["Well, it works as it is."], ["well, it works as it is."], lowercase=True) == pytest.approx(100)
    assert bleu(["Well, it works."], ["Well , it works ."], tokenize="none") < 50
    with pytest.raises(ValueError, match=r"^tokenize must be None for lists of tokens, got '13a'\.$"):
        bleu([["a"]], [["a"]], tokenize="13a")


def test_chrf_is_that_of_the_paper():
    assert chrf(TRUE, PREDICTED) == pytest.approx(reference_chrf(TRUE, PREDICTED))
    assert chrf(TRUE, TRUE) == pytest.approx(100)
    assert chrf(["Ab"], ["ab"], lowercase=True) == pytest.approx(100)
    assert chrf(TRUE, PREDICTED, word_order=2) != chrf(TRUE, PREDICTED)


@pytest.mark.parametrize("score", [bleu, chrf])
def test_nothing_to_compare(score):
    assert np.isnan(score([], []))
    assert score(["a b"], [""]) == 0


@pytest.mark.parametrize(("score", "name"), [(bleu, "BLEU"), (chrf, "chrF")])
def test_missing_library_is_named_with_the_extra_that_has_it(score, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.delitem(sys.modules, "sacrebleu.metrics", raising=False)
    with pytest.raises(ImportError, match=rf'^{name} needs sacrebleu: pip install "fastrnn\[translate\]"$'):
        score(["a"], ["a"])
