"""``fastrnn translate``: fit a translator to pairs of lines, translate lines with it, evaluate it."""

import argparse
import itertools
import pathlib
import sys
from typing import NamedTuple

import fastrnn
from fastrnn.command.common import (
    UserError,
    add_action,
    add_checkpoint,
    add_device,
    add_device_of_use,
    add_encoding,
    add_normalize,
    check_output,
    checkpoint_options,
    count_of,
    device_options,
    load_kind,
    not_negative,
    note,
    number,
    placed,
    places_of,
    positive,
    read_lines,
    save_model,
    seed,
)
from fastrnn.command.labels import on_one_line

_FILES = "one of sources and one of targets, line by line, or one with columns between tabs; also .gz, .bz2, .xz"
_TOKENIZERS = ("words", "whitespace", "chars", "bytes", "subwords")
_LINES = 500  # that are translated together


class PairedLines(NamedTuple):
    """Sources and targets from files.

    Attributes
    ----------
    name : str
        The files, for messages.
    sources, targets : list of str
    """

    name: str
    sources: list
    targets: list


def add_parsers(commands):
    """Add ``translate`` and its subcommands to the subcommands of ``fastrnn``."""
    translate = commands.add_parser(
        "translate", help="fit a translator of sequences to pairs of lines, translate and evaluate"
    )
    actions = translate.add_subparsers(dest="action", metavar="ACTION", required=True)
    for add in (_add_fit, _add_predict, _add_evaluate):
        add(actions)


def _add_columns(parser):
    for side, place in (("source", 1), ("target", 2)):
        parser.add_argument(
            f"--{side}-column", type=positive, default=place, metavar="N", help=f"of one FILE (default: {place})"
        )
    add_encoding(parser)


def _add_fit(actions):
    parser = add_action(actions, "fit", fit, "learn from pairs of a source and a target")
    parser.add_argument("files", nargs="+", metavar="FILE", help=f"{_FILES}; - is standard input")
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, required=True, metavar="MODEL", help="the safetensors file to write"
    )
    parser.add_argument(
        "--dev", nargs="+", default=[], metavar="FILE", help="as FILE: the weights that predict it best are kept"
    )
    _add_columns(parser)
    parser.add_argument("--tokenizer", choices=_TOKENIZERS, help="of both sides (default: the model's)")
    for side in ("source", "target"):
        parser.add_argument(f"--{side}-tokenizer", choices=_TOKENIZERS, help=f"of the {side}s alone")
    parser.add_argument(
        "--pieces", type=positive, metavar="N", help="of the tokenizer subwords, which are learned first (needs the "
        "package tokenizers)",
    )  # fmt: skip
    parser.add_argument("--share-vocabulary", action="store_true", help="one vocabulary and embedding for both sides")
    parser.add_argument("--lowercase", action="store_true", help="convert texts to lower case first")
    add_normalize(parser)
    parser.add_argument(
        "--attention", choices=("additive", "dot", "general", "none"), help="of the decoder (default: the model's)"
    )
    parser.add_argument(
        "--input-feeding", action=argparse.BooleanOptionalAction, help="whether the decoder attends before each step, "
        "or after it (default: the model's)",
    )  # fmt: skip
    parser.add_argument("--tie-weights", action="store_true", help="one matrix for embedding and output of the targets")
    parser.add_argument("--cell", metavar="CELL", help="of both networks (default: the model's)")
    for name, what in (
        ("--embedding-size", "length of a token's vector"),
        ("--hidden-size", "units of a layer"),
        ("--num-layers", "recurrent layers of the encoder, and of the decoder"),
        ("--max-iter", "most epochs"),
        ("--batch-size", "pairs of a batch"),
        ("--min-count", "rarer tokens are unknown"),
        ("--max-vocab", "most tokens of a vocabulary"),
    ):
        parser.add_argument(name, type=positive, metavar="N", help=f"{what} (default: the model's)")
    parser.add_argument("--learning-rate", type=number, metavar="X", help="(default: the model's)")
    parser.add_argument("--dropout", type=not_negative, metavar="P", help="(default: the model's)")
    parser.add_argument("--label-smoothing", type=not_negative, metavar="P", help="(default: the model's)")
    add_checkpoint(parser)
    add_device(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="(default: 0)")


def _add_search(parser):
    parser.add_argument(
        "--beam-width", type=positive, default=5, metavar="N", help="hypotheses that are followed (default: 5)"
    )
    parser.add_argument("--max-length", type=positive, metavar="N", help="most tokens (default: as in training)")
    parser.add_argument(
        "--length-penalty", type=not_negative, default=0.0, metavar="X", help="more prefers long results (default: 0)"
    )
    parser.add_argument(
        "--coverage-penalty", type=not_negative, default=0.0, metavar="X", help="of what is left out (default: 0)"
    )
    parser.add_argument("--language-model", metavar="MODEL", help="of the targets, which helps to choose")
    parser.add_argument("--weight", type=not_negative, default=0.3, metavar="X", help="its weight (default: 0.3)")
    parser.add_argument(
        "--with", dest="others", action="append", default=[], metavar="MODEL", help="another translator of the same "
        "pairs: the mean of all probabilities counts; may be given several times",
    )  # fmt: skip


def _add_predict(actions):
    parser = add_action(actions, "predict", predict, "print the translation of each line")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="a source a line (default: -)")
    parser.add_argument(
        "--source-column", type=positive, metavar="N", help="the column of FILE, between tabs (default: whole lines)"
    )
    add_encoding(parser)
    _add_search(parser)
    parser.add_argument(
        "--n-best", type=positive, metavar="N", help="print N translations of each line, best first, as a table: the "
        "number of the line, the log probability, the translation",
    )  # fmt: skip
    parser.add_argument(
        "--lines-at-once", type=positive, metavar="N", help=f"lines that are read before they are translated (default: "
        f"{_LINES}; 1 at a terminal)",
    )  # fmt: skip
    add_device_of_use(parser)


def _add_evaluate(actions):
    parser = add_action(actions, "evaluate", evaluate, "compare translations with targets")
    parser.add_argument("model", metavar="MODEL", help="what fit wrote")
    parser.add_argument("files", nargs="+", metavar="FILE", help=_FILES)
    _add_columns(parser)
    _add_search(parser)
    add_device_of_use(parser)


def fit(arguments):
    """Carry out ``fastrnn translate fit``."""
    from fastrnn.translation import RNNTranslator

    files = [*arguments.files, *arguments.dev]
    check_output("--output", arguments.output, files)
    if files.count("-") > 1:
        raise UserError("-: standard input can be read once")
    checkpoint = checkpoint_options(arguments, files)
    model = RNNTranslator(**_parameters(arguments), **device_options(arguments), random_state=arguments.seed, verbose=1)
    train = _read_pairs(arguments, arguments.files)
    dev = _read_pairs(arguments, arguments.dev, "--dev") if arguments.dev else None
    held_out = {"X_val": dev.sources, "y_val": dev.targets} if dev else {}
    model.fit(train.sources, train.targets, **held_out, **checkpoint).set_params(verbose=0)
    save_model(model.save, arguments.output)
    sizes = ", ".join(
        f"{len(vocabulary):,} {side} tokens"
        for side, vocabulary in (("source", model.source_vocabulary_), ("target", model.target_vocabulary_))
    )
    print(f"{count_of(train.sources, 'pair')}, {sizes}, {model.n_parameters_:,} parameters")
    valid = f", validation {-max(model.validation_scores_):.4f}" if model.validation_scores_ else ""
    print(f"{model.n_iter_} epochs, loss {model.loss_curve_[-1]:.4f}{valid}")
    print(f"written to {arguments.output}")


def _parameters(arguments):
    """Return the parameters of the estimator that were given."""
    names = ("cell", "embedding_size", "hidden_size", "num_layers", "max_iter", "batch_size", "min_count", "max_vocab",
             "dropout", "label_smoothing", "normalize")  # fmt: skip
    given = {name: getattr(arguments, name) for name in names}
    given |= {"learning_rate_init": arguments.learning_rate, "vocab_size": arguments.pieces}
    given["input_feeding"] = arguments.input_feeding
    flags = ("lowercase", "share_vocabulary", "tie_weights")
    given |= {name: getattr(arguments, name) or None for name in flags}
    sides = [getattr(arguments, f"{side}_tokenizer") or arguments.tokenizer for side in ("source", "target")]
    if sides[0] == sides[1]:
        given["tokenizer"] = sides[0]
    elif None in sides:
        raise UserError("give --source-tokenizer and --target-tokenizer, or --tokenizer for both sides")
    else:
        given["tokenizer"] = tuple(sides)
    given = {name: value for name, value in given.items() if value is not None}
    if arguments.attention:
        given["attention"] = None if arguments.attention == "none" else arguments.attention
    return given


def predict(arguments):
    """Carry out ``fastrnn translate predict``."""
    translators, options = _translators(arguments)
    n = arguments.n_best
    if n and len(translators) > 1:
        raise UserError("--n-best and --with cannot be asked for together")
    if n and n > arguments.beam_width:
        raise UserError(f"--n-best {n}: expected at most --beam-width {arguments.beam_width}")
    sources, size, done = _read_sources(arguments), arguments.lines_at_once, 0
    if size is None:
        size = 1 if arguments.file == "-" and sys.stdin is not None and sys.stdin.isatty() else _LINES
    while block := list(itertools.islice(sources, size)):
        if n:
            X = _as_read(translators[0].learned.reader, block)
            for line, found in enumerate(translators[0].beam_search(X, n, **options), start=done + 1):
                for hypothesis in found:
                    print(line, f"{hypothesis.log_prob:.4f}", _shown(hypothesis.text), sep="\t")
        else:
            for text in _translated(translators, block, options):
                print(_shown(text))
        if sys.stdout is not None:
            sys.stdout.flush()
        done += len(block)


def _translators(arguments):
    """Return the translators that the command line names, and the options of their search."""
    translators = [placed(load_translator, path, arguments) for path in (arguments.model, *arguments.others)]
    names = ("beam_width", "max_length", "length_penalty", "coverage_penalty", "weight")
    options = {name: getattr(arguments, name) for name in names}
    if arguments.language_model:
        options["language_model"] = fastrnn.load(arguments.language_model)
    return translators, options


def _translated(translators, texts, options):
    """Return the translations of texts, as the models write them: texts or lists of tokens."""
    from fastrnn.translation import predict_together

    X = _as_read(translators[0].learned.reader, texts)
    if len(translators) == 1:
        return translators[0].predict(X, **options)
    return predict_together(translators, X, **options)


def _as_read(side, texts):
    """Return texts in the form that a model reads or writes: as lists of tokens if it has no tokenizer."""
    return [text.split() for text in texts] if side.options["tokenizer"] is None else texts


def _shown(target):
    """Return a predicted target on one line."""
    return on_one_line(target if isinstance(target, str) else " ".join(target))


def evaluate(arguments):
    """Carry out ``fastrnn translate evaluate``."""
    from fastrnn.metrics import character_error_rate, exact_match, token_error_rate

    translators, options = _translators(arguments)
    pairs = _read_pairs(arguments, arguments.files)
    reader, target = translators[0].learned.reader, translators[0].learned.target
    score = translators[0].score(_as_read(reader, pairs.sources), _as_read(target, pairs.targets))
    references = {}
    for source, text in zip(pairs.sources, pairs.targets, strict=True):
        references.setdefault(source, []).append(text)
    whose = " by the first model" if len(translators) > 1 else ""
    predicted = _translated(translators, list(references), options)
    predicted = [text if isinstance(text, str) else " ".join(text) for text in predicted]
    true = list(references.values())
    tokens = [target.side.tokenize(_as_read(target, texts), "y") for texts in (*true, predicted)]
    print(f"{count_of(pairs.sources, 'pair')} of {count_of(true, 'source')}, log likelihood {score:.4f} a token{whose}")
    print(f"exact match {exact_match(true, predicted):.4f}")
    print(f"token error rate {token_error_rate(tokens[:-1], tokens[-1]):.4f}")
    print(f"character error rate {character_error_rate(true, predicted):.4f}")
    _print_overlap(true, predicted)


def _print_overlap(true, predicted):
    from fastrnn.metrics import bleu, chrf

    try:
        print(f"BLEU {bleu(true, predicted):.2f}, chrF {chrf(true, predicted):.2f}")
    except ImportError as error:
        note(str(error))


def load_translator(path, device=None):
    """Return the translator that a file holds.

    Parameters
    ----------
    path : str or os.PathLike
    device : str or None, default=None
        See `fastrnn.load`.

    Returns
    -------
    RNNTranslator

    Raises
    ------
    ValueError
        The file holds no translator.
    """
    from fastrnn.translation import RNNTranslator

    return load_kind(path, RNNTranslator, "translator", device)


def _read_sources(arguments):
    """Yield the sources of a file, line by line."""
    column = arguments.source_column
    for place, line in enumerate(read_lines(arguments.file, arguments.encoding), start=1):
        fields = [line] if column is None else line.split("\t")
        if column is not None and len(fields) < column:
            raise UserError(f"{arguments.file}, line {place}: {count_of(fields, 'column')}, not {column}")
        yield fields[(column or 1) - 1]


def _read_pairs(arguments, files, option="FILE"):
    """Return the pairs of one file or two; raise UserError if there are none."""
    if len(files) > 2:
        raise UserError(f"{option}: expected one file or two, got {len(files)}")
    read = _read_columns if len(files) == 1 else _read_parallel
    pairs = read(arguments, *files)
    if not pairs.sources:
        raise UserError(f"{pairs.name}: there is no pair in it")
    return pairs


def _read_parallel(arguments, *files):
    """Return the pairs of a file of sources and one of targets, without those that are empty on both sides."""
    sources, targets = (list(read_lines(file, arguments.encoding)) for file in files)
    if len(sources) != len(targets):
        raise UserError(
            f"{files[0]} and {files[1]}: expected as many lines in both, got {len(sources):,} and {len(targets):,}"
        )
    kept = [pair for pair in zip(sources, targets, strict=True) if any(map(str.strip, pair))]
    return PairedLines(" and ".join(files), [source for source, _ in kept], [target for _, target in kept])


def _read_columns(arguments, file):
    """Return the pairs of a file with columns between tabs; lines with too few are left out and reported on stderr."""
    name, columns = "standard input" if file == "-" else file, (arguments.source_column, arguments.target_column)
    if columns[0] == columns[1]:
        raise UserError(f"--source-column and --target-column are both {columns[0]}")
    pairs, bad = [], []
    for place, line in enumerate(read_lines(file, arguments.encoding), start=1):
        fields = line.split("\t")
        if len(fields) >= max(columns):
            pairs.append([fields[column - 1] for column in columns])
        elif line.strip():
            bad.append((f"line {place}", count_of(fields, "column")))
    if bad:
        note(f"{name}: {count_of(bad, 'line')} left out: {places_of(bad)}")
    return PairedLines(name, [source for source, _ in pairs], [target for _, target in pairs])
