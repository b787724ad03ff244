"""``fastrnn classify``: fit a classifier to a table of labelled texts, predict with it, evaluate it."""

import collections
import csv
import functools
import io
import json
import pathlib
import sys

from fastrnn._command import UserError, add_action, check_output, positive, seed

_SHOWN = 5  # bad rows that are named; of the others there is the number


def add_parsers(commands):
    """Add ``classify`` and its subcommands to the subcommands of ``fastrnn``."""
    classify = commands.add_parser("classify", help="fit a text classifier to a table, predict and evaluate")
    actions = classify.add_subparsers(dest="action", metavar="ACTION", required=True)
    for add in (_add_fit, _add_predict, _add_evaluate):
        add(actions)


def _add(actions, name, run, summary):
    return add_action(actions, name, functools.partial(_run, run), summary)


def _run(action, arguments):
    """Carry out a subcommand; what it cannot use is an error of the user."""
    try:
        action(arguments)
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error


def _add_columns(parser):
    parser.add_argument("--text-column", default="text", metavar="NAME", help="(default: text)")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="(default: label)")


def _add_fit(actions):
    parser = _add(actions, "fit", fit, "learn from a table of labelled texts")
    parser.add_argument("file", metavar="FILE", help="table in UTF-8: .csv, .tsv or .jsonl")
    _add_columns(parser)
    parser.add_argument(
        "--model", type=pathlib.Path, required=True, metavar="OUT", help="the safetensors file to write"
    )
    parser.add_argument(
        "--network",
        choices=("mean", "rnn"),
        default="mean",
        help="mean of word and bigram vectors, or a bidirectional LSTM (default: mean)",
    )
    parser.add_argument("--max-iter", type=positive, metavar="N", help="epochs (default: the model's)")
    parser.add_argument(
        "--embedding", metavar="FILE", help="pretrained word vectors, a text file as of GloVe or word2vec"
    )
    parser.add_argument("--class-weight", choices=["balanced"], help="give all classes the same weight")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="(default: 0)")


def _add_predict(actions):
    parser = _add(actions, "predict", predict, "print the class of each text")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="a text a line (default: -, standard input)"
    )
    parser.add_argument("--text-column", metavar="NAME", help="read this column of a table instead of lines")
    parser.add_argument("--proba", action="store_true", help="print the probability of each class too")


def _add_evaluate(actions):
    parser = _add(actions, "evaluate", evaluate, "compare predictions with labels")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument("file", metavar="FILE", help="table with the texts and their labels")
    _add_columns(parser)
    parser.add_argument("--plot", type=pathlib.Path, metavar="OUT.png", help="draw the confusion matrix")


def fit(arguments):
    """Carry out ``fastrnn classify fit``."""
    from fastrnn.classification import MeanEmbeddingClassifier, RNNClassifier

    check_output("--model", arguments.model, [arguments.file])
    texts, labels = _read_table(arguments.file, [arguments.text_column, arguments.label_column])
    options = {"random_state": arguments.seed, "class_weight": arguments.class_weight, "verbose": 1}
    options |= {"embedding": arguments.embedding} if arguments.embedding else {}
    options |= {"max_iter": arguments.max_iter} if arguments.max_iter else {}
    model = (MeanEmbeddingClassifier if arguments.network == "mean" else RNNClassifier)(**options).fit(texts, labels)
    model.set_params(embedding=None).save(arguments.model)
    counts = ", ".join(f"{label} {count:,}" for label, count in sorted(collections.Counter(labels).items()))
    print(f"{len(texts):,} texts ({counts}), {len(model.vocabulary_):,} words, loss {model.loss_curve_[-1]:.3f}")
    print(f"written to {arguments.model}")


def predict(arguments):
    """Carry out ``fastrnn classify predict``."""
    model = load_classifier(arguments.model)
    if arguments.text_column:
        (texts,) = _read_table(arguments.file, [arguments.text_column])
    else:
        texts = _read_text(arguments.file).splitlines()
    if not arguments.proba:
        print(*model.predict(texts), sep="\n", end="\n" if texts else "")
        return
    for row in model.predict_proba(texts):
        cells = "\t".join(f"{label}={p:.4f}" for label, p in zip(model.classes_, row, strict=True))
        print(f"{model.classes_[row.argmax()]}\t{cells}")


def evaluate(arguments):
    """Carry out ``fastrnn classify evaluate``."""
    from sklearn.metrics import classification_report, confusion_matrix

    if arguments.plot:
        check_output("--plot", arguments.plot, [arguments.file, arguments.model])
    model = load_classifier(arguments.model)
    texts, labels = _read_table(arguments.file, [arguments.text_column, arguments.label_column])
    predicted = model.predict(texts).astype(str)
    names = sorted({*labels, *predicted})
    matrix = confusion_matrix(labels, predicted, labels=names)
    print(classification_report(labels, predicted, digits=4, zero_division=0))
    width = max(map(len, [*names, str(matrix.max())])) + 2
    print("confusion matrix (rows: label, columns: prediction)")
    print("".join(name.rjust(width) for name in ["", *names]))
    for name, row in zip(names, matrix.tolist(), strict=True):
        print("".join(str(cell).rjust(width) for cell in [name, *row]))
    if arguments.plot:
        _plot(matrix, names, arguments.plot)


def _plot(matrix, names, path):
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    from fastrnn.persistence import replaced_file

    figure = Figure(figsize=(2.5 + 0.6 * len(names), 2 + 0.6 * len(names)), layout="constrained")
    ConfusionMatrixDisplay(matrix, display_labels=names).plot(ax=figure.add_subplot(), xticks_rotation=90)
    with replaced_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png", dpi=150)


def load_classifier(path):
    """Return the classifier that a file holds, of whichever class.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    MeanEmbeddingClassifier or RNNClassifier

    Raises
    ------
    ValueError
        The file holds no classifier.
    """
    from safetensors import SafetensorError, safe_open

    from fastrnn.classification import MeanEmbeddingClassifier, RNNClassifier

    try:
        with safe_open(path, "numpy") as file:
            name = json.loads((file.metadata() or {}).get("fastrnn", "{}")).get("class")
    except SafetensorError as error:
        raise ValueError(f"{path} is no saved model, or it is damaged ({error}).") from None
    for cls in (MeanEmbeddingClassifier, RNNClassifier):
        if cls.__name__ == name:
            return cls.load(path)
    raise ValueError(f"{path} holds no classifier of fastrnn.")


def _read_text(file):
    try:
        data = sys.stdin.buffer.read() if file == "-" else pathlib.Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None


def _read_table(file, columns):
    """Return the columns of a table as lists of str; rows that lack one are left out and reported on stderr."""
    rows, bad, found = [], [], set()
    text = _read_text(file)
    for number, row in _rows(file, text):
        found |= row.keys() if isinstance(row, dict) else set()
        values = [row.get(column) if isinstance(row, dict) else None for column in columns]
        if None in values or (len(columns) > 1 and not str(values[1]).strip()) or None in (row or ()):
            bad.append(number)
        else:
            rows.append([str(value) for value in values])
    missing = [column for column in columns if column not in found]
    if missing:
        there = ", ".join(sorted(str(name) for name in found if name is not None)) or "none"
        raise UserError(f"{file}: there is no column {missing[0]!r}; columns are: {there}")
    if bad:
        named = ", ".join(map(str, bad[:_SHOWN])) + (", …" if len(bad) > _SHOWN else "")
        print(f"{file}: {len(bad)} bad rows left out (lines {named})", file=sys.stderr)
    if not rows:
        raise UserError(f"{file}: there is no row to read")
    return [list(column) for column in zip(*rows, strict=True)]


def _rows(file, text):
    """Yield line number and row, a dict, of a table; what is no row as None."""
    if pathlib.Path(file).suffix in (".jsonl", ".ndjson", ".json"):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                yield number, row if isinstance(row, dict) else None
        return
    tabs = pathlib.Path(file).suffix in (".tsv", ".tab")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # whole documents stand in a field
    quoting = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if tabs else ",", quoting=quoting)
    try:
        for row in reader:  # what a row has too many stands under None, what it has too few is None
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: {error}") from None
