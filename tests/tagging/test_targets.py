"""Tests of `fastrnn.tagging.targets`."""

import itertools

import numpy as np
import pytest

from fastrnn.tagging.targets import StepTargets, TagsTarget, learn_tags, writable_labels
from fastrnn.text.schemes import to_scheme

IOB2 = [["B-PER", "I-PER", "I-PER", "O", "B-LOC"], [], ["B-LOC", "B-LOC", "I-LOC", "O"], ["B-PER", "O", "O"]]
SCHEMES = ("iob1", "iob2", "bioes", "bilou", "bmes")


def test_steps_are_padded_cut_and_taken():
    targets = StepTargets(np.arange(6), np.array([0, 3, 3, 4, 6]))
    assert targets.lengths.tolist() == [3, 0, 1, 2]
    assert targets[np.array([3, 1, 2])].tolist() == [[4, 5], [-1, -1], [3, -1]]
    assert targets[np.array([1])].tolist() == [[-1]]
    assert [part.tolist() for part in targets.take(np.array([3, 0])).parts()] == [[4, 5], [0, 1, 2]]
    lengths = np.array([2, 0, 1, 1])
    assert [part.tolist() for part in targets.cut(lengths, "end").parts()] == [[0, 1], [], [3], [4]]
    assert [part.tolist() for part in targets.cut(lengths, "start").parts()] == [[1, 2], [], [3], [5]]
    vectors = StepTargets(np.ones((3, 2), "f4"), np.array([0, 1, 3]))
    np.testing.assert_array_equal(vectors[np.array([0, 1])], [[[1, 1], [0, 0]], [[1, 1], [1, 1]]])
    assert StepTargets(np.zeros(0, int), np.array([0, 0]))[np.array([0])].tolist() == [[-1]]


@pytest.mark.parametrize(("given", "learned"), [*itertools.product(SCHEMES, (*SCHEMES, "auto", None))])
def test_labels_come_back_in_the_scheme_of_y(given, learned):
    y = to_scheme(IOB2, "iob2", given)
    target = learn_tags(y, None, learned)
    encoded = target.encode(y)
    assert target.decode(encoded) == y
    assert set(itertools.chain.from_iterable(y)) <= set(target.classes.tolist())
    assert target.first_forbidden(encoded) is None
    assert target.scheme == {"auto": "iob2" if given == "iob1" else given}.get(learned, learned)
    assert target.inner_labels(encoded) == (y if learned is None else to_scheme(IOB2, "iob2", target.scheme))
    content, arrays = target.get_learned()
    other = TagsTarget.from_learned(content, arrays)
    assert (other.inner, other.classes.tolist()) == (target.inner, target.classes.tolist())


def test_scores_of_labels_that_are_written_alike_are_added():
    target = learn_tags(IOB2, None, "bioes")
    p = np.random.default_rng(0).dirichlet(np.ones(9), 4)
    merged = target.merge(StepTargets(p, np.array([0, 1, 4])), np.add)
    places = {label: k for k, label in enumerate(target.inner)}
    expected = [[row[places["B-PER"]] + row[places["S-PER"]], row[places["I-LOC"]] + row[places["E-LOC"]]] for row in p]
    chosen = [target.classes.tolist().index(label) for label in ("B-PER", "I-LOC")]
    np.testing.assert_allclose(merged.values[:, chosen], expected, rtol=1e-15)
    np.testing.assert_allclose(merged.values.sum(axis=1), 1, rtol=1e-15)
    logs = target.merge(StepTargets(np.log(p), merged.offsets), np.logaddexp)
    np.testing.assert_allclose(logs.values, np.log(merged.values), rtol=1e-12)


def test_labels_that_conversion_may_write_are_classes():
    y = [["I-PER", "I-PER", "O"]]
    assert learn_tags(y, None, "auto").classes.tolist() == ["B-PER", "I-PER", "O"]
    assert learn_tags([["B-PER", "O"]], None, "bioes").classes.tolist() == ["B-PER", "O"]
    assert learn_tags([["B-PER", "I-PER"]], None, "bioes").inner == ["B-PER", "E-PER", "I-PER", "S-PER"]
    assert writable_labels(["B-X", "O"], "iob2", "bioes") == [("B-X", "S-X")]


def test_labels_of_no_scheme_are_plain():
    target = learn_tags([["DET", "NOUN"], [1 * "VERB"]], None, "auto")
    assert target.scheme is None
    assert target.allowed() is None
    assert learn_tags([[2, 1]], None, "auto").classes.tolist() == [1, 2]
    assert learn_tags([["O", "O"]], None, "iob2").scheme == "iob2"
    with pytest.raises(ValueError, match=r"y\[0\]\[1\] must be a tag as 'O', 'B-PER' or 'I-PER', got 'NOUN'"):
        learn_tags([["O", "NOUN"]], None, "iob2")


def test_labels_that_are_no_classes_are_named_or_kept():
    target = learn_tags(IOB2, None, "bioes")
    with pytest.raises(ValueError, match=r"y contains 'B-ORG' as label 1 of y\[2\], which is not among the classes"):
        target.encode([["O"], [], ["O", "B-ORG"]])
    y = [["B-ORG", "I-ORG", "O", "B-PER"]]
    encoded = target.encode(y, allow_unknown=True)
    assert (encoded.values >= target.n_outputs).tolist() == [True, True, False, False]
    assert target.decode(encoded) == y


def test_weights_are_those_of_the_labels_of_y():
    target = learn_tags(IOB2, None, "bioes")
    encoded = target.encode(IOB2)
    weights = target.weights(encoded, {"B-PER": 5, "I-LOC": 3}).values
    flat = list(itertools.chain.from_iterable(IOB2))
    assert weights.tolist() == [{"B-PER": 5.0, "I-LOC": 3.0}.get(label, 1.0) for label in flat]
    balanced = target.weights(encoded, "balanced").values
    totals = {label: sum(w for w, other in zip(balanced, flat, strict=True) if other == label) for label in set(flat)}
    np.testing.assert_allclose(list(totals.values()), len(flat) / 5)


def test_a_sequence_that_breaks_the_scheme_is_found():
    target = learn_tags(IOB2, None, "iob2")
    y = [["O"], ["B-PER"], ["O", "I-PER"]]
    assert target.first_forbidden(target.encode(y)) == 2
    assert target.first_forbidden(target.encode([["B-LOC", "I-PER"]])) == 0
