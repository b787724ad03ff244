"""Parts that the subcommands of ``fastrnn`` share: the user's error, types of arguments, texts, tables, outputs."""

import argparse
import contextlib
import math
import pathlib
import sys
import tempfile
import uuid

import fastrnn
from fastrnn.command.tables import Format, pick, read_table
from fastrnn.text.normalization import NORMAL_FORMS
from fastrnn.text.reading import check_encoding, open_lines, text_files
from fastrnn.utils.optional import optional_module

_SHOWN = 5  # bad rows, labels and the like that are named


class UserError(Exception):
    """An error of the user's: one line, exit status 2."""


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


def not_negative(text):
    """Return a number of at least 0."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")


def _encoding(text):
    try:
        check_encoding(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected the name of an encoding, got {text!r}") from None
    return text


def seed(text):
    """Return the seed of a random state."""
    return integer(text, 0, 2**32 - 1)


def orders(text):
    """Return orders of n-gram models, separated by commas, each once."""
    return list(dict.fromkeys(integer(order, 1, 16) for order in text.split(",") if text))


class Texts:
    """The lines of files, of the text files in folders, or of standard input.

    Each iteration reads them again, line by line.

    Parameters
    ----------
    files : list of str
        "-" is standard input, which can be read once.
    encoding : str
    """

    def __init__(self, files, encoding):
        self.files, self.encoding = files, encoding

    def __iter__(self):
        """Yield the lines; raise UserError for a file that is no text, and for files and folders without text."""
        for name in self.files:
            is_empty = True
            for file in [name] if name == "-" else text_files(pathlib.Path(name)):
                for line in read_lines(file, self.encoding):
                    is_empty = is_empty and not line.strip()
                    yield line
            if is_empty:
                raise UserError(f"{name}: there is no text in it" if name != "-" else "standard input is empty")


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
    if path == pathlib.Path("-"):
        raise UserError(f"{option} -: give the name of a file")
    if path.is_dir():
        raise UserError(f"{option} {path}: is a directory")
    if any(path.exists() and pathlib.Path(file).exists() and path.samefile(file) for file in files):
        raise UserError(f"{option} {path}: would replace a file that is read")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror}") from error


def check_picture(option, path, files):
    """Raise UserError if matplotlib cannot draw into a file, or `check_output` refuses it."""
    check_output(option, path, files)
    bases = optional_module("matplotlib.backend_bases", f"{option} needs")
    endings = bases.FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in endings:
        raise UserError(f"{option} {path}: the file's name must end in one of .{', .'.join(sorted(endings))}")


def save_model(save, path):
    """Save a model; if that fails, save it in another folder, so that the training is not lost.

    Raises
    ------
    UserError
        The model was saved elsewhere, or nowhere: the message says where.
    """
    from fastrnn.utils.files import unwritten

    try:
        save(path)
    except OSError as error:
        reason = unwritten(path, error)
        folders = pathlib.Path.cwd(), pathlib.Path(tempfile.gettempdir())
        for folder in folders:
            other = folder / path.name
            other = other.with_name(f"{uuid.uuid4().hex[:8]}-{path.name}") if other.exists() else other
            with contextlib.suppress(OSError):
                save(other)
                raise UserError(f"{reason}; the model was saved as {other} instead") from error
        raise UserError(f"{reason}; nor could the model be saved in {folders[0]} or {folders[1]}") from error


def add_action(actions, name, run, summary):
    """Add a subcommand that the function `run` carries out; return its parser."""
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run, prog=parser.prog)
    return parser


def add_texts(parser):
    """Add the files of a text to the arguments."""
    parser.add_argument(
        "files",
        nargs="*",
        default=["-"],
        metavar="FILE",
        help="text, a sentence a line; a folder is its .txt files (default: -)",
    )
    add_encoding(parser)


def add_encoding(parser):
    """Add the encoding of the input to the arguments."""
    parser.add_argument("--encoding", type=_encoding, default="utf-8", metavar="NAME", help="(default: utf-8)")


def add_checkpoint(parser):
    """Add the checkpoint of a training to the arguments."""
    parser.add_argument(
        "--checkpoint", type=pathlib.Path, metavar="RUN", help="file that is written after each epoch; the same "
        "command resumes from it after an interruption",
    )  # fmt: skip
    parser.add_argument("--checkpoint-minutes", type=number, metavar="X", help="write it every so often too")


def checkpoint_options(arguments, files):
    """Return the options of ``fit`` for a checkpoint; raise UserError if it is an input file or the output."""
    if arguments.checkpoint:
        check_output("--checkpoint", arguments.checkpoint, files)
        if arguments.checkpoint.resolve() == arguments.output.resolve():
            raise UserError(f"--checkpoint {arguments.checkpoint}: is the file of --output")
    return {"checkpoint": arguments.checkpoint, "checkpoint_minutes": arguments.checkpoint_minutes}


def add_device(parser):
    """Add the device on which a network is trained, and its precision there, to the arguments."""
    _add_device(parser, {"device": "cpu", "precision": "highest"}, "(default: %(default)s)")


def add_device_of_use(parser):
    """Add the device on which a saved network is used, and its precision there, to the arguments; see `placed`."""
    _add_device(parser, {"device": None, "precision": None}, "(default: as in training)")


def _add_device(parser, defaults, said):
    parser.add_argument(
        "--device", choices=["cpu", "cuda", "auto"], default=defaults["device"],
        help=f"where the network is: cuda is a GPU, auto a GPU if there is one {said}",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=["highest", "high", "medium"], default=defaults["precision"],
        help=f"of a GPU's matrix products: float32, TF32 or bfloat16 {said}",
    )  # fmt: skip


def device_options(arguments):
    """Return the options of an estimator for its device; raise UserError if it cannot be used."""
    from fastrnn.backends import backend

    try:
        backend(arguments.device, arguments.precision)  # before the long work
    except RuntimeError as error:
        raise UserError(str(error)) from error
    return {"device": arguments.device, "precision": arguments.precision}


def load_kind(path, kinds, noun, device):
    """Return the model that a file holds.

    Raises
    ------
    ValueError
        The model is none of the classes `kinds`, which `noun` names.
    """
    model = fastrnn.load(path, device=device)
    if not isinstance(model, kinds):
        raise ValueError(f"{path} holds a {type(model).__name__}, no {noun}.")
    return model


def placed(load, path, arguments):
    """Return the model that `load` reads from a file, on the device and with the precision of the arguments.

    Raises
    ------
    UserError
        The device cannot be used.
    """
    try:
        model = load(path, device=arguments.device)
    except RuntimeError as error:
        raise UserError(str(error)) from error
    return model if arguments.precision is None else model.set_params(precision=arguments.precision)


def add_normalize(parser):
    """Add the normal form of Unicode to the arguments."""
    parser.add_argument("--normalize", choices=NORMAL_FORMS, help="bring text into this normal form of Unicode first")


def add_table(parser):
    """Add the format of a table to the arguments, see `load_table`."""
    parser.add_argument(
        "--delimiter", type=_delimiter, metavar="CHAR", help=r"between fields; \t is a tab (default: as FILE is named)"
    )
    parser.add_argument(
        "--no-header", dest="header", action="store_false", help="there is no header: columns are numbers from 1 on"
    )
    parser.add_argument(
        "--quote", type=_quote, metavar="CHAR", help='around fields with delimiters or line ends, or none (default: ")'
    )
    add_encoding(parser)


def _delimiter(text):
    return _character("\t" if text == r"\t" else text)


def _quote(text):
    return "" if text == "none" else _character(text)


def _character(text):
    if len(text) != 1 or text in "\r\n":
        raise argparse.ArgumentTypeError(f"expected one character, got {text!r}")
    return text


def table_format(arguments):
    """Return the format of a table with the command line's options."""
    return Format(arguments.delimiter, arguments.quote, arguments.header)


def load_table(arguments):
    """Return the table that the command line names."""
    return read_table(arguments.file, read_lines(arguments.file, arguments.encoding), table_format(arguments))


def note(text):
    """Write a line to stderr."""
    print(text, file=sys.stderr)


def count_of(things, name):
    """Return the number of things with their name, in the plural where it is one."""
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def some_of(texts, separator=", "):
    """Return the first few texts in one string, with an ellipsis if there are more."""
    return separator.join(texts[:_SHOWN]) + (f"{separator}…" if len(texts) > _SHOWN else "")


def places_of(bad):
    """Return the places and faults of some bad rows of a table, see `pick`."""
    return some_of([f"{place} ({wrong})" for place, wrong in bad], "; ")


def pick_good(table, columns):
    """Return the values of columns as `pick` does; bad rows are left out and reported on stderr.

    Raises
    ------
    UserError
        No row is good.
    """
    values, bad = pick(table, columns)
    if bad:
        note(f"{table.name}: {count_of(bad, 'row')} left out: {places_of(bad)}")
    if not values[0]:
        raise UserError(f"{table.name}: there is no row to read")
    return values
