"""What `fastrnn lm` and `fastrnn ngram` do with a model: the same for both, and what the methods give in Python."""

import json
import math

import pytest

from fastrnn import NGramLanguageModel, RNNLanguageModel
from fastrnn.inspection import minimal_pairs, surprisal

LINES = ["the dog sees a cat .", "the cat sees the old dog !", "", "a dog is a dog ."] * 6
NEW = ["the dog sees a dog .", "", "a unicorn ."]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a model of each kind and its file, by the name of the command."""
    folder = tmp_path_factory.mktemp("models")
    models = {
        "ngram": NGramLanguageModel(2, smoothing="add_k", k=0.1).fit(LINES),
        "lm": RNNLanguageModel(
            cell="rnn", embedding_size=6, hidden_size=6, max_iter=2, random_state=1, early_stopping=False
        ).fit(LINES),
    }
    for name, model in models.items():
        model.save(folder / name)
    return {name: (model, folder / name) for name, model in models.items()}


@pytest.fixture(params=["ngram", "lm"])
def name(request):
    """Return the name of the command."""
    return request.param


@pytest.fixture
def model(models, name):
    """Return the model."""
    return models[name][0]


@pytest.fixture
def run(command, models, name):
    """Return a function that runs an action with the model, see `command`."""

    def run(action, *arguments, **options):
        return command(name, action, models[name][1], *arguments, **options)

    return run


STDIN = "\n".join(NEW).encode()


def numbers(out):
    return [float(word) for word in out.split()]


def test_perplexity(run, model, tmp_path):
    (tmp_path / "folder").mkdir()
    for number, line in enumerate(NEW):
        (tmp_path / "folder" / f"{number}.txt").write_text(line + "\n")
    perplexity = model.perplexity(NEW)
    expected = (
        f"perplexity {float(perplexity):.4f}, without unknown words {perplexity.without_oov:.4f}\n"
        f"{perplexity.n_tokens} tokens, ends of lines counted, 1 of them unknown\n"
    )
    assert run("score", stdin=STDIN) == run("score", "-", stdin=STDIN) == (0, expected, "")
    perplexity = model.perplexity(NEW, eos=False)
    status, out, _ = run("score", "--no-eos", tmp_path / "folder")
    assert (status, out.split()[1].rstrip(",")) == (0, f"{float(perplexity):.4f}")
    assert "ends of lines" not in out


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ([], {}),
        (["--independent"], {"independent": True}),
        (["--no-bos", "--no-eos"], {"bos": False, "eos": False}),
    ],
)
def test_lines(run, model, options, parameters):
    status, out, _ = run("score", "--lines", *options, stdin=STDIN)
    expected = model.score_samples(NEW, **parameters) / math.log(10)
    assert status == 0
    assert numbers(out) == pytest.approx(expected.tolist(), abs=1e-6)


def test_tokens(run, model):
    rows = []
    for line, text in enumerate(NEW, start=1):
        result = surprisal(model, text)
        for token, known, bits, rank in zip(*result, strict=True):
            rows.append([str(line), token, "yes" if known else "no", f"{bits:.4f}", str(rank)])
    status, out, err = run("score", "--tokens", stdin=STDIN)
    header, *table = [line.split("\t") for line in out.splitlines()]
    assert (status, err, header, table) == (0, "", ["line", "token", "known", "bits", "rank"], rows)
    assert ["3", "unicorn", "no"] in [row[:3] for row in table]
    _, out, _ = run("score", "--tokens", "--no-eos", stdin=STDIN)
    assert [line.split("\t") for line in out.splitlines()[1:]] == [row for row in rows if row[1] != "</s>"]
    for options in (["--tokens", "--lines"], ["--tokens", "--no-bos"]):
        status, out, err = run("score", *options, stdin=STDIN)
        assert (status, out, err.count("\n")) == (2, "", 1)


def test_generate(run, model):
    options = ["-n", 3, "--max-length", 5, "--prompt", "the", "--temperature", 0.5, "--top-k", 3, "--top-p", 0.9,
               "--seed", 1, "--stop", "dog", "--stop", "."]  # fmt: skip
    parameters = {"max_length": 5, "prompt": "the", "temperature": 0.5, "top_k": 3, "top_p": 0.9, "random_state": 1}
    status, out, _ = run("generate", *options)
    assert (status, out.split("\n")) == (0, [*model.sample(3, stop=["dog", "."], **parameters), ""])
    status, out, _ = run("generate", "--temperature", 0, "--max-length", 5)
    assert (status, out.split("\n")) == (0, [*model.sample(temperature=0, max_length=5), ""])
    status, out, _ = run("generate", "-n", 2, "--beam-width", 4, "--max-length", 5)
    assert out.split("\n") == [*(text for text, _ in model.beam_search(n=2, beam_width=4, max_length=5)), ""]


def test_complete(run, model):
    status, out, _ = run("complete", "the d", "-n", 2)
    assert (status, out) == (0, "".join(f"{p:.4f} {word}\n" for word, p in model.complete("the d", 2)))
    status, out, _ = run("complete", "-n", 3, stdin=b"the c\n\n")
    assert out == "cat\n" + " ".join(word for word, _ in model.complete("", n=3)) + "\n"


def test_fill(run, model):
    expected = model.fill("the ___ sees a dog", n=2)
    for out in (run("fill", "the ___ sees a dog", "-n", 2)[1], run("fill", "the # sees a dog", "-n2", "--blank=#")[1]):
        assert out == "".join(f"{p:.4f} {word}\n" for word, p in expected)
    status, out, err = run("fill", "-n", 2, "--candidates", 3, stdin=b"the ___ sees a dog\na ___\n")
    expected = [" ".join(word for word, _ in model.fill(t, 2, candidates=3)) for t in ("the ___ sees a dog", "a ___")]
    assert (status, out) == (0, "\n".join(expected) + "\n")
    assert err == ("only the 3 words most probable after the text before the blank were compared\n" * 2)
    status, out, err = run("fill", "no blank")
    assert (status, out, err.count("\n")) == (2, "", 1)


PAIRS = [("the dog sees a cat", "the dog a sees cat", "order"), ("a dog is", "dog a is", "order"),
         ("the unicorn", "the uniform", "new")]  # fmt: skip


def test_pairs(run, model, tmp_path):
    good, bad, groups = zip(*PAIRS, strict=True)
    result = minimal_pairs(model, good, bad, groups)
    rows = [f"{result.group_accuracies[i]:.4f}\t{n}\t{ties}\t{group}\n" for i, (n, ties, group) in
            enumerate([(2, 0, "order"), (1, 1, "new")])]  # fmt: skip
    expected = "".join(["accuracy\tpairs\tties\tgroup\n", *rows, f"{result.accuracy:.4f}\t3\t1\tall\n"])
    table = tmp_path / "pairs.tsv"
    table.write_text("\n".join("\t".join(row) for row in [("good", "bad", "group"), *PAIRS]))
    assert run("pairs", table) == (0, expected, "")
    blimp = "\n".join(json.dumps({"sentence_good": g, "sentence_bad": b, "UID": u}) for g, b, u in PAIRS)
    assert run("pairs", stdin=blimp.encode()) == (0, expected, "")
    status, out, err = run("pairs", table, "--known-only")
    assert (status, out.splitlines()[-1].split("\t")[1:]) == (0, ["2", "0", "all"])
    assert err == f"{table}: 1 of 3 pairs left out: they have an unknown word\n"
    _, out, _ = run("pairs", table, "--lines")
    scores = [
        [value / math.log(10) for value in pair] for pair in zip(result.good_scores, result.bad_scores, strict=True)
    ]
    assert [numbers(line) for line in out.splitlines()] == [pytest.approx(pair, abs=1e-6) for pair in scores]


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("good,bad\na,b\na\n", [], None),
        ("a,b\n1,2\n", [], "has no column 'good'; its columns are 'a', 'b'"),
        ("a,b\n1,2\n", ["--good-column", "a", "--bad-column", "a"], "each column can be one thing only"),
        ("good,bad\na,b\n", ["--group-column", "kind"], "has no column 'kind'"),
        ("", [], "the table is empty"),
        ("good,bad\n", [], "there is no row to read"),
    ],
)
def test_tables_of_pairs(run, tmp_path, content, options, says):
    path = tmp_path / "pairs.csv"
    path.write_text(content)
    status, out, err = run("pairs", path, *options)
    assert err.count("\n") == 1
    if says is None:
        assert (status, err) == (0, f"{path}: 1 row left out: line 3 (nothing to use in column 'bad')\n")
    else:
        assert (status, out, says in err) == (2, "", True)
