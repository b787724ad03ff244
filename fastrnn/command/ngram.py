"""The ``fastrnn ngram`` command: training, conversion and use of n-gram models."""

import pathlib

from fastrnn.command.common import (
    Texts,
    UserError,
    add_action,
    add_normalize,
    add_texts,
    check_output,
    integer,
    positive,
    save_model,
)
from fastrnn.command.language import add_uses

_ARPA_SUFFIXES = (".arpa", ".lm")
_TOKENIZERS = ("words", "whitespace", "chars")
_OUTPUT = (
    "where to write it: an ARPA file if the name has .arpa or .lm in it (.gz, .bz2, .xz compress), else safetensors"
)


def add_parsers(commands):
    """Add ``ngram`` and its subcommands to the subcommands of ``fastrnn``."""
    ngram = commands.add_parser(
        "ngram", help="fit n-gram models, score and generate text with them, convert their files"
    )
    actions = ngram.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_fit(actions)
    add_uses(actions, _add_model, _read)
    _add_convert(actions)


def _add_model(parser):
    parser.add_argument("model", type=pathlib.Path, metavar="MODEL", help="a saved model or an ARPA file")
    parser.add_argument(
        "--tokenizer", choices=_TOKENIZERS, help="how to cut text for an ARPA file (default: whitespace)"
    )


def _add_fit(actions):
    parser = add_action(actions, "fit", fit, "learn a model from text")
    add_texts(parser)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, metavar="MODEL", help=_OUTPUT)
    parser.add_argument("--order", type=_order, default=3, metavar="N", help="the longest n-grams (default: 3)")
    parser.add_argument("--smoothing", default="modified_kneser_ney", help="(default: modified_kneser_ney)")
    parser.add_argument("--tokenizer", choices=_TOKENIZERS, default="words", help="(default: words)")
    parser.add_argument("--lowercase", action="store_true", help="convert text to lower case first")
    add_normalize(parser)
    parser.add_argument(
        "--min-count", type=positive, default=1, metavar="N", help="rarer words are unknown (default: 1)"
    )
    parser.add_argument(
        "--prune", type=_thresholds, metavar="N,N", help="drop n-grams seen this often or less, an order"
    )
    parser.add_argument(
        "--memory-limit", metavar="SIZE", help="for counting: 500MB for instance; runs go to a temporary folder"
    )


def _add_convert(actions):
    parser = add_action(actions, "convert", convert, "write a model in the other format, ARPA or safetensors")
    _add_model(parser)
    parser.add_argument("output", type=pathlib.Path, metavar="OUTPUT", help=_OUTPUT)


def _order(text):
    return integer(text, 1, 16)


def _thresholds(text):
    return tuple(integer(part, 0, 10**9) for part in text.split(","))


def fit(arguments):
    """Carry out ``fastrnn ngram fit``."""
    from fastrnn.ngram import NGramLanguageModel

    check_output("--output", arguments.output, arguments.files)  # before the long work
    names = ("order", "smoothing", "tokenizer", "lowercase", "normalize", "min_count", "prune", "memory_limit")
    model = NGramLanguageModel(**{name: getattr(arguments, name) for name in names}, verbose=1)
    model.fit(Texts(arguments.files, arguments.encoding)).set_params(verbose=0)  # whoever loads the file decides
    _write(model, arguments.output)
    print(f"{arguments.output}: {sum(model.n_ngrams_):,} n-grams of {len(model.vocabulary_) - 4:,} words")


def convert(arguments):
    """Carry out ``fastrnn ngram convert``."""
    check_output("OUTPUT", arguments.output, [arguments.model])
    _write(_read(arguments), arguments.output)


def _read(arguments):
    """Return the model that the command line names."""
    from fastrnn.ngram import NGramLanguageModel

    with open(arguments.model, "rb") as file:
        is_saved = file.read(9)[8:] == b"{"  # how the header of a safetensors file begins
    if not is_saved:
        return NGramLanguageModel.from_arpa(arguments.model, tokenizer=arguments.tokenizer or "whitespace")
    if arguments.tokenizer:
        raise UserError(f"--tokenizer {arguments.tokenizer}: {arguments.model} is a saved model, which has its own")
    return NGramLanguageModel.load(arguments.model)


def _write(model, path):
    is_arpa = any(suffix in _ARPA_SUFFIXES for suffix in path.suffixes)
    save_model(model.to_arpa if is_arpa else model.save, path)
