"""The ``fastrnn ngram`` command: n-gram models from text to file, and what is done with them."""

import itertools
import math
import pathlib
import sys

from fastrnn._command import UserError, check_output, integer, number, positive, read_file, seed

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
    for add in (_add_fit, _add_score, _add_generate, _add_convert):
        add(actions)


def _add(actions, name, run, summary):
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run, prog=parser.prog)
    return parser


def _add_texts(parser):
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="text in UTF-8, a sentence a line (default: standard input)"
    )


def _add_model(parser):
    parser.add_argument("model", type=pathlib.Path, metavar="MODEL", help="a saved model or an ARPA file")
    parser.add_argument(
        "--tokenizer", choices=_TOKENIZERS, help="how to cut text for an ARPA file (default: whitespace)"
    )


def _add_fit(actions):
    parser = _add(actions, "fit", fit, "learn a model from text")
    _add_texts(parser)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, metavar="MODEL", help=_OUTPUT)
    parser.add_argument("--order", type=_order, default=3, metavar="N", help="the longest n-grams (default: 3)")
    parser.add_argument("--smoothing", default="modified_kneser_ney", help="(default: modified_kneser_ney)")
    parser.add_argument("--tokenizer", choices=_TOKENIZERS, default="words", help="(default: words)")
    parser.add_argument("--lowercase", action="store_true", help="convert text to lower case first")
    parser.add_argument(
        "--min-count", type=positive, default=1, metavar="N", help="rarer words are unknown (default: 1)"
    )
    parser.add_argument(
        "--prune", type=_thresholds, metavar="N,N", help="drop n-grams seen this often or less, an order"
    )
    parser.add_argument(
        "--memory-limit", metavar="SIZE", help="for counting: 500MB for instance; runs go to a temporary folder"
    )


def _add_score(actions):
    parser = _add(actions, "score", score, "print the perplexity of a text")
    _add_model(parser)
    _add_texts(parser)
    parser.add_argument("--lines", action="store_true", help="print log10 of the probability of each line instead")


def _add_generate(actions):
    parser = _add(actions, "generate", generate, "draw texts from a model, one a line")
    _add_model(parser)
    parser.add_argument("-n", "--number", type=positive, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--max-length", type=positive, default=100, metavar="N", help="most tokens (default: 100)")
    parser.add_argument("--prompt", help="the beginning of each text")
    parser.add_argument("--temperature", type=number, default=1.0, metavar="X", help="(default: 1.0)")
    parser.add_argument("--top-k", type=positive, metavar="N", help="draw among the N most probable tokens")
    parser.add_argument(
        "--top-p", type=number, metavar="X", help="draw among the tokens that have this probability together"
    )
    parser.add_argument("--seed", type=seed, metavar="N")


def _add_convert(actions):
    parser = _add(actions, "convert", convert, "write a model in the other format, ARPA or safetensors")
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
    names = ("order", "smoothing", "tokenizer", "lowercase", "min_count", "prune", "memory_limit")
    model = NGramLanguageModel(**{name: getattr(arguments, name) for name in names})
    _guarded(model.fit, _lines(arguments.files))
    _write(model, arguments.output)
    print(f"{arguments.output}: {sum(model.n_ngrams_):,} n-grams of {len(model.vocabulary_) - 4:,} words")


def score(arguments):
    """Carry out ``fastrnn ngram score``."""
    model = _read(arguments)
    lines = _lines(arguments.files)
    if arguments.lines:
        for value in _guarded(model.score_samples, lines):
            print(f"{value / math.log(10):.6f}")
        return
    perplexity = _guarded(model.perplexity, lines)
    print(f"perplexity {float(perplexity):.4f}, without unknown words {perplexity.without_oov:.4f}")
    print(f"{perplexity.n_tokens:,} tokens, ends of lines counted, {perplexity.n_oov:,} of them unknown")


def generate(arguments):
    """Carry out ``fastrnn ngram generate``."""
    names = ("max_length", "prompt", "temperature", "top_k", "top_p")
    options = {name: getattr(arguments, name) for name in names}
    for text in _guarded(_read(arguments).sample, arguments.number, random_state=arguments.seed, **options):
        print(text)


def convert(arguments):
    """Carry out ``fastrnn ngram convert``."""
    _write(_read(arguments), arguments.output)


def _lines(files):
    """Return the lines of the files, or of standard input."""
    if files:
        return list(itertools.chain.from_iterable(read_file(file).split("\n") for file in files))
    return [line.rstrip("\n") for line in sys.stdin]


def _read(arguments):
    """Return the model that the command line names."""
    from fastrnn.ngram import NGramLanguageModel

    try:
        with open(arguments.model, "rb") as file:
            is_saved = file.read(9)[8:] == b"{"  # how the header of a safetensors file begins
    except OSError as error:
        raise UserError(f"{arguments.model}: {error.strerror}") from error
    if not is_saved:
        return _guarded(NGramLanguageModel.from_arpa, arguments.model, tokenizer=arguments.tokenizer or "whitespace")
    if arguments.tokenizer:
        raise UserError(f"--tokenizer {arguments.tokenizer}: {arguments.model} is a saved model, which has its own")
    return _guarded(NGramLanguageModel.load, arguments.model)


def _write(model, path):
    is_arpa = any(suffix in _ARPA_SUFFIXES for suffix in path.suffixes)
    try:
        _guarded(model.to_arpa if is_arpa else model.save, path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def _guarded(function, *arguments, **options):
    """Call a function of a model; what it refuses is a mistake of the user."""
    try:
        return function(*arguments, **options)
    except ValueError as error:
        raise UserError(str(error)) from error
    except MemoryError as error:
        raise UserError(f"the model needs too much memory: {error}") from error
