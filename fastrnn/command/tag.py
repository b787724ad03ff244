"""``fastrnn tag``: fit a tagger to a file of tagged sentences or of texts with spans, predict with it, evaluate it."""

import argparse
import collections
import pathlib
import sys
from typing import NamedTuple

from fastrnn.command.common import (
    UserError,
    add_action,
    add_checkpoint,
    add_device,
    add_device_of_use,
    add_encoding,
    check_output,
    checkpoint_options,
    count_of,
    device_options,
    load_kind,
    not_negative,
    note,
    placed,
    positive,
    read_lines,
    save_model,
    seed,
    some_of,
)
from fastrnn.command.labels import label_text
from fastrnn.text.columns import read_columns, write_conll
from fastrnn.text.reading import suffix_of
from fastrnn.text.span_files import spans_of_lines, write_spans

_JSON = (".jsonl", ".ndjson", ".json")
_FILE = "columns (CoNLL, CoNLL-U), or JSON Lines of texts with spans; also .gz, .bz2 or .xz; - is standard input"
_NETWORK_ONLY = ("embedding", "checkpoint", "checkpoint_minutes")
_FEATURES_ONLY = ("c1", "c2")


class Sentences(NamedTuple):
    """Content of a file.

    Attributes
    ----------
    name : str
        The file, for messages.
    X : list of lists of tokens, or of str
    y : list of lists of str, list of lists of (begin, end, label), or None
    rows : list of lists of tuples of str, or None
        The columns of each token; None for texts.
    """

    name: str
    X: list
    y: list | None
    rows: list | None


def add_parsers(commands):
    """Add ``tag`` and its subcommands to the subcommands of ``fastrnn``."""
    tag = commands.add_parser("tag", help="fit a tagger to sentences with a tag for each token, predict and evaluate")
    actions = tag.add_subparsers(dest="action", metavar="ACTION", required=True)
    for add in (_add_fit, _add_predict, _add_evaluate):
        add(actions)


def _add_format(parser, formats, tagged):
    parser.add_argument(
        "--format", choices=formats, help="of FILE; lines are sentences, without tags (default: as FILE looks)"
        if "lines" in formats else "of FILE (default: as it looks)",
    )  # fmt: skip
    parser.add_argument(
        "--token-column", type=_column, metavar="N", help="number, from 1 on, or name in CoNLL-U (default: 1, or form)"
    )
    if tagged:
        parser.add_argument(
            "--tag-column", type=_column, metavar="N", help="-1 is the last one (default: -1, or upos in CoNLL-U)"
        )
    parser.add_argument(
        "--columns", type=_columns, default=[], metavar="N,N", help="further columns to predict from (default: none)"
    )
    add_encoding(parser)


def _column(text):
    """Return a column: a number from 0 on or below 0, or a name."""
    try:
        number = int(text)
    except ValueError:
        return text
    if number == 0:
        raise argparse.ArgumentTypeError("expected the number of a column, from 1 on or from -1 back, got 0")
    return number - (number > 0)


def _columns(text):
    return [_column(part) for part in text.split(",") if part]


def _add_fit(actions):
    parser = add_action(actions, "fit", fit, "learn from sentences with a tag for each token, or texts with spans")
    parser.add_argument("file", metavar="FILE", help=_FILE)
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, required=True, metavar="MODEL", help="the safetensors file to write"
    )
    parser.add_argument("--dev", metavar="FILE", help="as FILE: the weights that predict it best are kept")
    _add_format(parser, ("columns", "spans"), tagged=True)
    parser.add_argument(
        "--model", choices=("crf", "rnn"), default="crf", help="a linear-chain CRF on features of words, or a "
        "bidirectional LSTM with a CRF (default: crf)",
    )  # fmt: skip
    parser.add_argument(
        "--max-iter",
        type=positive,
        metavar="N",
        help="iterations, or epochs of the LSTM (default: the model's)",
    )
    parser.add_argument("--c1", type=not_negative, metavar="X", help="of the CRF: L1 penalty (default: the model's)")
    parser.add_argument("--c2", type=not_negative, metavar="X", help="of the CRF: L2 penalty (default: the model's)")
    parser.add_argument(
        "--embedding", metavar="FILE", help="of the LSTM: pretrained word vectors, as of GloVe or word2vec"
    )
    add_checkpoint(parser)
    add_device(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the LSTM (default: 0)")


def _add_predict(actions):
    parser = add_action(actions, "predict", predict, "print each token's columns and its tag, or texts with spans")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help=f"{_FILE} (default: -)")
    _add_format(parser, ("columns", "spans", "lines"), tagged=False)
    add_device_of_use(parser)


def _add_evaluate(actions):
    parser = add_action(actions, "evaluate", evaluate, "compare predictions with tags or spans")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument("file", metavar="FILE", help=_FILE)
    _add_format(parser, ("columns", "spans"), tagged=True)
    add_device_of_use(parser)
    parser.add_argument("--errors", action="store_true", help="count errors by their type too")
    parser.add_argument("--strict", action="store_true", help="count only entities with tags as the scheme demands")


def fit(arguments):
    """Carry out ``fastrnn tag fit``."""
    files = [file for file in (arguments.file, arguments.dev) if file]
    check_output("--output", arguments.output, files)
    if files.count("-") > 1:
        raise UserError("--dev -: standard input is FILE already")
    checkpoint = checkpoint_options(arguments, files)
    model = _new_tagger(arguments)
    train = _read_tagged(arguments, arguments.file)
    dev = _read_tagged(arguments, arguments.dev) if arguments.dev else None
    held_out = {"X_val": dev.X, "y_val": dev.y} if dev else {}
    model.set_params(**({"input": "text"} if train.rows is None else {}))
    model.fit(train.X, train.y, **held_out, **(checkpoint if arguments.model == "rnn" else {}))
    save_model(_without_files(model).save, arguments.output)
    counts = collections.Counter(label for labels in train.y for label in map(_label, labels))
    common = some_of([f"{label} {n:,}" for label, n in counts.most_common()])
    what = "texts" if train.rows is None else "sentences"
    print(f"{len(train.X):,} {what}, {counts.total():,} {'spans' if train.rows is None else 'tokens'} ({common})")
    print(f"{model.n_iter_} {'iterations' if arguments.model == 'crf' else 'epochs'}, loss {model.loss_curve_[-1]:.4g}")
    if dev:
        print(f"{dev.name}: {_figures(dev, _predicted(model, dev.X))}")
    print(f"written to {arguments.output}")


def _new_tagger(arguments):
    from fastrnn.tagging import CRFTagger, RNNTagger

    is_crf = arguments.model == "crf"
    for name in _NETWORK_ONLY if is_crf else _FEATURES_ONLY:
        if getattr(arguments, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} is for --model {'rnn' if is_crf else 'crf'}")
    options = {"verbose": 1} | ({"max_iter": arguments.max_iter} if arguments.max_iter else {})
    if is_crf:
        given = {name: getattr(arguments, name) for name in _FEATURES_ONLY}
        return CRFTagger(**options, **{name: value for name, value in given.items() if value is not None})
    options |= {"embedding": arguments.embedding} if arguments.embedding else {}
    return RNNTagger(random_state=arguments.seed, **device_options(arguments), **options)


def _without_files(model):
    """Return a model that no longer names the file of its word vectors, nor reports its progress."""
    return model.set_params(verbose=0, **({"embedding": None} if hasattr(model, "embedding") else {}))


def _label(label):
    """Return a tag, or the label of a span."""
    return label if isinstance(label, str) else label[-1]


def predict(arguments):
    """Carry out ``fastrnn tag predict``."""
    model = placed(load_tagger, arguments.model, arguments)
    sentences = _read(arguments, arguments.file, is_text=_reads_text(model))
    if not sentences.X:
        return
    predicted = _predicted(model, _matching(model, arguments, sentences))
    if sys.stdout is None:
        return
    if sentences.rows is None:
        write_spans(sys.stdout, sentences.X, predicted)
    else:
        write_conll(sys.stdout, sentences.rows, predicted)


def evaluate(arguments):
    """Carry out ``fastrnn tag evaluate``."""
    model = placed(load_tagger, arguments.model, arguments)
    sentences = _read_tagged(arguments, arguments.file)
    X = _matching(model, arguments, sentences)
    _report_unknown(sentences, model)
    predicted = _predicted(model, X)
    print(_figures(sentences, predicted, arguments.strict))
    if arguments.errors:
        from fastrnn.inspection import tag_errors

        print(f"\n{tag_errors(sentences.y, predicted)}")


def _predicted(model, X):
    """Return predictions; labels that are no strings as they are shown."""
    try:
        predicted = model.predict(X)
    except ValueError as error:  # a token is a string wherever it comes from: only its columns can be wrong
        raise UserError(f"{error} Are --columns as they were for fit?") from error
    if _reads_text(model):
        return predicted
    return [[label if isinstance(label, str) else label_text(label) for label in labels] for labels in predicted]


def _figures(sentences, predicted, strict=False):
    """Return how well labels are predicted: accuracy, and for spans a report by type."""
    from fastrnn.metrics import entity_report, tag_accuracy
    from fastrnn.text.schemes import find_scheme

    if sentences.rows is None:
        return f"{len(sentences.X):,} texts\n\n{entity_report(sentences.y, predicted)}"
    n_tokens = sum(map(len, sentences.y))
    accuracy = tag_accuracy(sentences.y, predicted)
    lines = f"{len(sentences.X):,} sentences, {n_tokens:,} tokens, accuracy {accuracy:.4f}"
    if not (find_scheme(sentences.y) or find_scheme(predicted)):
        return lines
    return f"{lines}\n\n{entity_report(sentences.y, predicted, strict=strict)}"


def _report_unknown(sentences, model):
    """Report tags that the model does not have on stderr; raise UserError if it has none of them."""
    if sentences.rows is None:
        return
    known = set(map(label_text, model.classes_))
    counts = collections.Counter(tag for tags in sentences.y for tag in tags)
    unknown = {tag: n for tag, n in counts.most_common() if tag not in known}
    if not unknown:
        return
    shown = some_of(list(unknown))
    if len(unknown) == len(counts):
        classes = some_of(sorted(known))
        raise UserError(f"{sentences.name}: no tag is a class of the model: tags are {shown}; classes are {classes}")
    note(f"{sentences.name}: {sum(unknown.values()):,} of {counts.total():,} tags are no class of the model: {shown}")


def load_tagger(path, device=None):
    """Return the tagger that a file holds.

    Parameters
    ----------
    path : str or os.PathLike
    device : str or None, default=None
        See `fastrnn.load`.

    Returns
    -------
    CRFTagger or RNNTagger

    Raises
    ------
    ValueError
        The file holds no tagger of sentences.
    """
    from fastrnn.tagging import CRFTagger, RNNTagger

    model = load_kind(path, CRFTagger | RNNTagger, "tagger of sentences", device)
    if getattr(model, "input", "tokens") == "series":
        raise ValueError(f"{path} holds a tagger of series, no tagger of sentences.")
    return model


def _reads_text(model):
    return getattr(model, "input", "tokens") == "text"


def _matching(model, arguments, sentences):
    """Return X; raise UserError if the model reads texts and the file holds tokens, or the other way round."""
    if _reads_text(model) == (sentences.rows is None):
        return sentences.X
    reads, has = ("texts", "tokens") if _reads_text(model) else ("tokens", "texts")
    raise UserError(f"{sentences.name} holds {has}, and {arguments.model} reads {reads}")


def _read_tagged(arguments, file):
    """Return the sentences of a file with tags; raise UserError if it has none."""
    sentences = _read(arguments, file, tagged=True)
    if not sentences.X:
        raise UserError(f"{sentences.name}: there is no sentence in it")
    if sentences.y is None:
        raise UserError(f"{sentences.name}: there are no spans in it")
    return sentences


def _read(arguments, file, tagged=False, is_text=False):
    """Return the content of a file; with `is_text`, its lines are texts, and else tokens between white space."""
    name, lines = "standard input" if file == "-" else file, list(read_lines(file, arguments.encoding))
    kind = arguments.format or _format(file, lines)
    if kind == "spans":
        return Sentences(name, *spans_of_lines(name, lines), None)
    if kind == "lines":
        X = lines if is_text else [line.split() for line in lines if line.strip()]
        return Sentences(name, X, None, None if is_text else X)
    table = read_columns(name, lines)
    given = {"--token-column": arguments.token_column, "--tag-column": arguments.tag_column if tagged else None}
    for option, column in [*given.items(), *(("--columns", column) for column in arguments.columns)]:
        if isinstance(column, int) and table.sentences and not -table.width <= column < table.width:
            raise UserError(f"{option} {column + (column >= 0)}: {name} has {count_of(range(table.width), 'column')}")
    if tagged and table.width == 1:
        raise UserError(f"{name} has one column, and no tags")
    X = table.tokens(arguments.token_column, arguments.columns)
    return Sentences(name, X, table.tags(arguments.tag_column) if tagged else None, table.sentences)


def _format(file, lines):
    """Return the format of a file by its name, or else by its first line."""
    first = next((line for line in lines if line.strip()), "")
    ending = suffix_of(pathlib.PurePath(file.lower()))
    return "spans" if ending in _JSON or first.startswith('{"') else "columns"
