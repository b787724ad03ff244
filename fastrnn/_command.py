"""What the subcommands of ``fastrnn`` share: the error of the user, types of arguments, texts."""

import argparse
import contextlib
import math
import pathlib
import sys
import tempfile

from fastrnn.reading import open_lines


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


def _encoding(text):
    try:
        "".encode(text)
        b"".decode(text)
    except LookupError:
        raise argparse.ArgumentTypeError(f"expected the name of an encoding, got {text!r}") from None
    return text


def seed(text):
    """Return the seed of a random state."""
    return integer(text, 0, 2**32 - 1)


def orders(text):
    """Return orders of n-gram models, separated by commas, each once."""
    return list(dict.fromkeys(integer(order, 1, 16) for order in text.split(",") if text))


class Texts:
    """The lines of files or of standard input, read as they are needed and at each iteration anew.

    Parameters
    ----------
    files : list of str
        "-" is standard input, which can be read once.
    encoding : str
    """

    def __init__(self, files, encoding):
        self.files, self.encoding = files, encoding

    def __iter__(self):
        """Yield the lines; raise UserError for a file that is empty or no text."""
        for file in self.files:
            is_empty = True
            for line in read_lines(file, self.encoding):
                is_empty = is_empty and not line.strip()
                yield line
            if is_empty:
                raise UserError(f"{file}: the file is empty" if file != "-" else "standard input is empty")


def read_lines(file, encoding):
    """Yield the lines of a file; raise UserError if it is no text."""
    for line in open_lines(standard_input() if file == "-" else file, encoding):
        if "\0" in line:
            raise UserError(f"{file}: not a text file (it holds a NUL byte)")
        yield line


def standard_input():
    """Return standard input as a binary file."""
    if sys.stdin is None:
        raise UserError("standard input is closed")
    return sys.stdin.buffer


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
        "files", nargs="*", default=["-"], metavar="FILE", help="text, a sentence a line (default: -, standard input)"
    )
    add_encoding(parser)


def add_encoding(parser):
    """Add the encoding of what is read to the arguments."""
    parser.add_argument("--encoding", type=_encoding, default="utf-8", metavar="NAME", help="(default: utf-8)")


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


def print_scores(model, lines, each_line):
    """Print the perplexity of a text, or log10 of the probability of each line."""
    if each_line:
        for value in model.score_samples(lines):
            print(f"{value / math.log(10):.6f}")
        return
    perplexity = model.perplexity(lines)
    print(f"perplexity {float(perplexity):.4f}, without unknown words {perplexity.without_oov:.4f}")
    print(f"{perplexity.n_tokens:,} tokens, ends of lines counted, {perplexity.n_oov:,} of them unknown")


def print_samples(model, arguments, **options):
    """Print texts that a language model writes, one a line."""
    names = ("max_length", "prompt", "temperature", "top_k", "top_p")
    options |= {name: getattr(arguments, name) for name in names}
    for text in model.sample(arguments.number, random_state=arguments.seed, **options):
        print(text)
