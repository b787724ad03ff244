"""``fastrnn classify``: fit a classifier to a table of labelled texts, predict with it, evaluate it."""

import collections
import pathlib

from fastrnn.command.common import (
    UserError,
    add_action,
    add_checkpoint,
    add_device,
    add_device_of_use,
    add_normalize,
    add_table,
    check_output,
    check_picture,
    checkpoint_options,
    count_of,
    device_options,
    load_kind,
    load_table,
    note,
    pick_good,
    placed,
    places_of,
    positive,
    read_lines,
    save_model,
    seed,
    some_of,
    table_format,
)
from fastrnn.command.labels import label_text, labels_of_one_kind, match_labels, take_label
from fastrnn.command.tables import Format, is_table, pick, take_text, text_column
from fastrnn.utils.optional import optional_module

_TABLE = "table: .csv, .tsv, .jsonl or .json, also .gz, .bz2 or .xz; - is standard input"


def add_parsers(commands):
    """Add ``classify`` and its subcommands to the subcommands of ``fastrnn``."""
    classify = commands.add_parser("classify", help="fit a text classifier to a table, predict and evaluate")
    actions = classify.add_subparsers(dest="action", metavar="ACTION", required=True)
    for add in (_add_fit, _add_predict, _add_evaluate):
        add(actions)


def _add_text_column(parser):
    parser.add_argument(
        "--text-column", metavar="NAME", help="column of the texts (default: text, or the only one there is)"
    )
    add_table(parser)


def _add_label_column(parser):
    parser.add_argument("--label-column", metavar="NAME", help="column of the labels (default: label)")


def _add_fit(actions):
    parser = add_action(actions, "fit", fit, "learn from a table of labelled texts")
    parser.add_argument("file", metavar="FILE", help=_TABLE)
    _add_text_column(parser)
    _add_label_column(parser)
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, required=True, metavar="MODEL", help="the safetensors file to write"
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
    add_normalize(parser)
    add_checkpoint(parser)
    add_device(parser)
    parser.add_argument("--class-weight", choices=["balanced"], help="give all classes the same weight")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="(default: 0)")


def _add_predict(actions):
    parser = add_action(actions, "predict", predict, "print the class of each text")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help=f"a text a line, or a {_TABLE} (default: standard input)"
    )
    _add_text_column(parser)
    add_device_of_use(parser)
    parser.add_argument("--proba", action="store_true", help="print the probability of each class too")


def _add_evaluate(actions):
    parser = add_action(actions, "evaluate", evaluate, "compare predictions with labels")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument("file", metavar="FILE", help=_TABLE)
    _add_text_column(parser)
    _add_label_column(parser)
    add_device_of_use(parser)
    parser.add_argument("--plot", type=pathlib.Path, metavar="OUT.png", help="draw the confusion matrix")


def fit(arguments):
    """Carry out ``fastrnn classify fit``."""
    from fastrnn.classification import MeanEmbeddingClassifier, RNNClassifier

    check_output("--output", arguments.output, [arguments.file])
    checkpoint = checkpoint_options(arguments, [arguments.file])
    texts, labels = _read_labelled(arguments)
    labels = labels_of_one_kind(labels)
    options = {"random_state": arguments.seed, "verbose": 1, **device_options(arguments)}
    options |= {name: getattr(arguments, name) for name in ("class_weight", "normalize")}
    options |= {"embedding": arguments.embedding} if arguments.embedding else {}
    options |= {"max_iter": arguments.max_iter} if arguments.max_iter else {}
    model = (MeanEmbeddingClassifier if arguments.network == "mean" else RNNClassifier)(**options)
    model.fit(texts, labels, **checkpoint)
    save_model(model.set_params(embedding=None, verbose=0).save, arguments.output)
    counts = ", ".join(f"{label} {n:,}" for label, n in sorted(collections.Counter(map(label_text, labels)).items()))
    print(f"{len(texts):,} texts ({counts}), {len(model.vocabulary_):,} words, loss {model.loss_curve_[-1]:.3f}")
    print(f"written to {arguments.output}")


def predict(arguments):
    """Carry out ``fastrnn classify predict``."""
    model = placed(load_classifier, arguments.model, arguments)
    texts = _read_texts(arguments)
    if not texts:
        return
    names = [label_text(label) for label in model.classes_]
    predicted = model.predict(texts)
    probabilities = model.predict_proba(texts) if arguments.proba else [()] * len(texts)
    for label, row in zip(predicted, probabilities, strict=True):
        has_several = predicted.ndim == 2  # a column of 0 and 1 for each label that a text may have
        shown = ",".join(names[place] for place in label.nonzero()[0]) if has_several else label_text(label)
        print(shown, *(f"{name}={p:.4f}" for name, p in zip(names, row, strict=False)), sep="\t")


def evaluate(arguments):
    """Carry out ``fastrnn classify evaluate``."""
    from sklearn.metrics import classification_report, confusion_matrix

    if arguments.plot:
        check_picture("--plot", arguments.plot, [arguments.file, arguments.model])
    model = placed(load_classifier, arguments.model, arguments)
    texts, labels = _read_labelled(arguments)
    labels = _named_labels(arguments.file, labels, model.classes_)
    predicted = model.predict(texts)
    if predicted.ndim == 2:
        raise UserError(
            f"{arguments.model} gives a text several labels, a table of texts has one: evaluate it in Python"
        )
    predicted = [label_text(label) for label in predicted]
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


def _named_labels(file, labels, classes):
    """Return the text of each label's class, or of the label itself if it is not a class (reported on stderr)."""
    places = match_labels(labels, classes)
    unknown = collections.Counter(
        label_text(label) for label, place in zip(labels, places, strict=True) if place is None
    )
    if unknown:
        shown = some_of([label for label, _ in unknown.most_common()])
        if unknown.total() == len(labels):
            names = some_of(list(map(label_text, classes)))
            raise UserError(f"{file}: no label is a class of the model: labels are {shown}; classes are {names}")
        note(f"{file}: {unknown.total():,} of {len(labels):,} labels are no class of the model: {shown}")
    return [label_text(label if place is None else classes[place]) for label, place in zip(labels, places, strict=True)]


def _plot(matrix, names, path):
    from sklearn.metrics import ConfusionMatrixDisplay

    from fastrnn.utils.files import replaced_file

    library = optional_module("matplotlib.figure", "--plot needs")
    figure = library.Figure(figsize=(2.5 + 0.6 * len(names), 2 + 0.6 * len(names)), layout="constrained")
    ConfusionMatrixDisplay(matrix, display_labels=names).plot(ax=figure.add_subplot(), xticks_rotation=90)
    with replaced_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)


def load_classifier(path, device=None):
    """Return the classifier that a file holds.

    Parameters
    ----------
    path : str or os.PathLike
    device : str or None, default=None
        See `fastrnn.load`.

    Returns
    -------
    MeanEmbeddingClassifier or RNNClassifier

    Raises
    ------
    ValueError
        The file holds no classifier.
    """
    from fastrnn.classification import MeanEmbeddingClassifier, RNNClassifier

    return load_kind(path, MeanEmbeddingClassifier | RNNClassifier, "classifier", device)


def _read_labelled(arguments):
    """Return texts and labels of a table; rows that lack one are left out and reported on stderr."""
    table = load_table(arguments)
    takers = {text_column(table, arguments.text_column): take_text, _label_column(table, arguments): take_label}
    if len(takers) < 2:
        raise UserError(f"{table.name}: texts and labels are both to be read from column {next(iter(takers))!r}")
    return pick_good(table, takers)


def _label_column(table, arguments):
    if arguments.label_column is not None:
        return arguments.label_column
    if not arguments.header:
        raise UserError(f"{table.name}: give --label-column a number from 1 to {len(table.columns)}")
    return "label"


def _read_texts(arguments):
    """Return the texts to classify: the lines of a file, or a column of a table, all of whose rows are good."""
    is_as_usual = arguments.text_column is None and table_format(arguments) == Format()
    if is_as_usual and not is_table(arguments.file):
        return list(read_lines(arguments.file, arguments.encoding))
    table = load_table(arguments)
    (texts,), bad = pick(table, {text_column(table, arguments.text_column): take_text})
    if bad:
        raise UserError(f"{table.name}: {count_of(bad, 'row')} cannot be classified: {places_of(bad)}")
    return texts
