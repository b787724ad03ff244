"""What the subcommands of ``fastrnn`` share: the error of the user, types of arguments, texts."""

import argparse
import contextlib
import itertools
import math
import pathlib
import sys
import tempfile


class UserError(Exception):
    """What the user can put right: one line, exit status 2."""


def integer(text, minimum, maximum):
    """Return an integer between two others."""
    with contextlib.suppress(ValueError):
        if minimum <= int(text) <= maximum:
            return int(text)
    raise argparse.ArgumentTypeError(f"expected an integer from {minimum} to {maximum}, got {text!r}")


def positive(text):
    """Return an integer above 0."""
    return integer(text, 1, 1_000_000)


def number(text):
    """Return a number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")


def seed(text):
    """Return the seed of a random state."""
    return integer(text, 0, 2**32 - 1)


def orders(text):
    """Return orders of n-gram models, separated by commas, each once."""
    return list(dict.fromkeys(integer(order, 1, 16) for order in text.split(",") if text))


def read_file(file):
    """Return the text of a file without empty lines at the end; raise UserError if it has none."""
    try:
        text = pathlib.Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not a text file in UTF-8") from error
    if "\0" in text:
        raise UserError(f"{file}: not a text file (it holds a NUL byte)")
    if not text.strip():
        raise UserError(f"{file}: the file is empty")
    return text.rstrip("\n")


def check_output(option, path, files):
    """Raise UserError if a file cannot be written, or is one of the files that are read."""
    if path.is_dir():
        raise UserError(f"{option} {path}: is a directory")
    if any(path.exists() and pathlib.Path(file).exists() and path.samefile(file) for file in files):
        raise UserError(f"{option} {path}: would replace the text that is read")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror}") from error


def add_action(actions, name, run, summary):
    """Add a subcommand, carried out by the function `run`; return its parser."""
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run, prog=parser.prog)
    return parser


def add_texts(parser):
    """Add the files of a text to the arguments."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="text in UTF-8, a sentence a line (default: standard input)"
    )


def add_score(actions, run, add_model):
    """Add the subcommand that scores a text; `add_model` adds the model to its arguments."""
    parser = add_action(actions, "score", run, "print the perplexity of a text")
    add_model(parser)
    add_texts(parser)
    parser.add_argument("--lines", action="store_true", help="print log10 of the probability of each line instead")


def add_sampling(parser):
    """Add how texts are drawn from a language model to the arguments."""
    parser.add_argument("-n", "--number", type=positive, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--max-length", type=positive, default=100, metavar="N", help="most tokens (default: 100)")
    parser.add_argument("--prompt", help="the beginning of each text")
    parser.add_argument("--temperature", type=number, default=1.0, metavar="X", help="(default: 1.0)")
    parser.add_argument("--top-k", type=positive, metavar="N", help="draw among the N most probable tokens")
    parser.add_argument(
        "--top-p", type=number, metavar="X", help="draw among the tokens that have this probability together"
    )
    parser.add_argument("--seed", type=seed, metavar="N")


def read_lines(files):
    """Return the lines of the files, or of standard input."""
    if files:
        return list(itertools.chain.from_iterable(read_file(file).split("\n") for file in files))
    return [line.rstrip("\n") for line in sys.stdin]


def print_scores(model, lines, each_line):
    """Print the perplexity of a text, or log10 of the probability of each line."""
    if each_line:
        for value in guarded(model.score_samples, lines):
            print(f"{value / math.log(10):.6f}")
        return
    perplexity = guarded(model.perplexity, lines)
    print(f"perplexity {float(perplexity):.4f}, without unknown words {perplexity.without_oov:.4f}")
    print(f"{perplexity.n_tokens:,} tokens, ends of lines counted, {perplexity.n_oov:,} of them unknown")


def print_samples(model, arguments, **options):
    """Print texts that a language model writes, one a line."""
    names = ("max_length", "prompt", "temperature", "top_k", "top_p")
    options |= {name: getattr(arguments, name) for name in names}
    for text in guarded(model.sample, arguments.number, random_state=arguments.seed, **options):
        print(text)


def guarded(function, *arguments, **options):
    """Call a function of a model; what it refuses is a mistake of the user."""
    try:
        return function(*arguments, **options)
    except ValueError as error:
        raise UserError(str(error)) from error
    except MemoryError as error:
        raise UserError(f"the model needs too much memory: {error}") from error


def guarded_file(function, path):
    """Call a function of a model that reads or writes a file."""
    try:
        return guarded(function, path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
