"""The ``fastrnn`` command.

Modules that take long to import are imported in the functions that use them, so that ``--help`` and errors in arguments
answer at once.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import platform
import signal
import sys
import textwrap
import warnings

import fastrnn
from fastrnn.command import classify, lm, ngram, tag, translate
from fastrnn.command.common import (
    Texts,
    UserError,
    add_device,
    add_encoding,
    check_output,
    check_picture,
    device_options,
    orders,
    positive,
    seed,
)
from fastrnn.utils.gpu import describe_gpus

# A token that is seen once in the training text becomes <unk>, so that every model learns what to expect of a word it
# does not know; otherwise a network's result on unknown words would be a matter of luck.
_MIN_COUNT = 2
_SAMPLE_LENGTH = {"words": 40, "whitespace": 40, "chars": 200}
_MIN_LINES, _MIN_CHARACTERS = 10, 1000


class _Interrupt(BaseException):
    """Ctrl-C. It is not a KeyboardInterrupt, because that tells an estimator's ``fit`` to stop early."""


class _Parser(argparse.ArgumentParser):
    """An argument parser that takes options and files in any order, and reports errors in one line."""

    _is_intermixing = False

    def parse_known_args(self, args=None, namespace=None):
        """Parse arguments; files may come before, between and after the options of a subcommand."""
        if self._is_intermixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_intermixing = True
        namespace, unknown = self.parse_known_intermixed_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def print_help(self, file=None):
        """Write the help; unlike argparse, raise errors of writing."""
        print(self.format_help(), end="", file=file)

    def error(self, message):
        """Write one line to stderr, and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


class _Version(argparse.Action):
    """Print the version, and in a second line the GPUs of the machine, if there are any; exit."""

    def __call__(self, parser, *arguments):
        """Carry out ``--version``."""
        gpus = describe_gpus()
        print(f"fastrnn {fastrnn.__version__}" + (f"\nGPU: {gpus}" if gpus else ""))
        parser.exit()


def main(argv=None):
    """Run the ``fastrnn`` command.

    Parameters
    ----------
    argv : list of str or None
        The arguments after the command's name; None takes those of the process.

    Returns
    -------
    int
        The exit status: 0; 2 after a mistake in the arguments or files; 130 after Ctrl-C; 141 if the reader of the
        output has closed it, as for a program that SIGPIPE ends.
    """
    previous = signal.signal(signal.SIGINT, _interrupt)
    prog = "fastrnn"
    try:
        try:
            arguments = _parse(argv)
            prog = arguments.prog
            _run(arguments)
        finally:
            _finish_output()
    except BrokenPipeError:
        return 141
    except _Interrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    except (UserError, ValueError, OSError, MemoryError, ImportError) as error:
        print(f"{prog}: error: {' '.join(_message(error).split())}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGINT, previous)
    return 0


def _run(arguments):
    """Carry out the subcommand; a warning is one line on stderr."""
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="replace")  # a sample may hold characters that the terminal does not know
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *details: _show_warning(f"{arguments.prog}: warning: {message}")
        arguments.run(arguments)


def _message(error):
    """Return the message of an error."""
    if isinstance(error, MemoryError):
        return f"there is too little memory: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def _finish_output():
    """Flush stdout; if that fails, keep Python from trying again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _interrupt(signum, frame):
    raise _Interrupt


def _show_warning(message):
    from tqdm import tqdm

    tqdm.write(message, file=sys.stderr)


def _parse(argv):
    """Return the arguments of the command line; exit with status 2 if one is wrong."""
    parser = _Parser(prog="fastrnn", description=fastrnn.__doc__)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and the GPUs of the machine")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_compare(commands)
    _add_warmup(commands)
    ngram.add_parsers(commands)
    lm.add_parsers(commands)
    classify.add_parsers(commands)
    tag.add_parsers(commands)
    translate.add_parsers(commands)
    return parser.parse_args(argv)


def _add_compare(commands):
    parser = commands.add_parser(
        "compare",
        help="train n-gram and recurrent language models on a text and compare them",
        description="Train n-gram and recurrent language models on the first 80% of a text, and compare them on the "
        "rest: 10% to stop early by, 10% to test. Words: cut between lines, each line is a sentence. Characters: the "
        "text is one document.",
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="text; - is standard input (default: English that comes with Python)"
    )
    add_encoding(parser)
    parser.add_argument("--tokenizer", choices=["words", "whitespace", "chars"], default="words")
    parser.add_argument(
        "--orders", type=orders, default=[2, 3, 5], metavar="N,N", help="orders of the n-gram models (default: 2,3,5)"
    )
    _add_cells(parser)
    parser.add_argument(
        "--hidden-size", type=positive, default=128, metavar="N", help="units of a network (default: 128)"
    )
    parser.add_argument(
        "--max-iter", type=positive, default=10, metavar="N", help="most epochs a network trains (default: 10)"
    )
    add_device(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--json", type=pathlib.Path, metavar="OUT", help="write the results to this file")
    parser.add_argument(
        "--plot", type=pathlib.Path, metavar="OUT.png", help="draw perplexity against memory (needs matplotlib)"
    )
    parser.set_defaults(run=compare, prog=parser.prog)


def _add_cells(parser):
    parser.add_argument(
        "--cells",
        type=_cells,
        default=["rnn", "gru", "lstm"],
        metavar="CELL,CELL",
        help="cells of the recurrent networks (default: rnn,gru,lstm)",
    )


def _add_warmup(commands):
    parser = commands.add_parser(
        "warmup",
        help="compile the common kernels ahead",
        description="Compile the kernels of n-gram models and of recurrent networks, for training and prediction, and "
        "keep them on disk: what runs later does not wait for the compiler. They are kept beside the package, or where "
        "that cannot be written in ~/.cache/fastrnn/kernels; NUMBA_CACHE_DIR names another folder.",
    )
    parser.add_argument("--clear", action="store_true", help="delete all compiled kernels from disk instead")
    _add_cells(parser)
    parser.add_argument(
        "--dtype", choices=["float32", "float64"], default="float32", help="numbers of the networks (default: float32)"
    )
    parser.set_defaults(run=warmup, prog=parser.prog)


def _cells(text):
    from fastrnn.cells import CELLS
    from fastrnn.utils.checks import did_you_mean

    cells = list(dict.fromkeys(text.split(","))) if text else []
    for cell in cells:
        if cell not in CELLS:
            proposal = did_you_mean(cell, CELLS).rstrip(".")
            raise argparse.ArgumentTypeError(f"expected cells among {', '.join(CELLS)}, got {cell!r}{proposal}")
    return cells


def warmup(arguments):
    """Carry out ``fastrnn warmup``.

    Parameters
    ----------
    arguments : argparse.Namespace
        The parsed command line.
    """
    from fastrnn.warmup import clear, warm_up

    try:
        if arguments.clear:
            count, size = clear()
            print(f"{count} kernels deleted, {size / 1e6:.1f} MB")
            return
        done = warm_up(arguments.cells, arguments.dtype, verbose=1)
    except RuntimeError as error:
        raise UserError(str(error)) from error
    print(
        f"{done.compiled} kernels compiled in {done.seconds:.1f} s, {done.found} were there already; they are kept in "
        f"{done.folder} ({done.size / 1e6:.1f} MB)"
    )


def compare(arguments):
    """Carry out ``fastrnn compare``.

    Parameters
    ----------
    arguments : argparse.Namespace
        The parsed command line.
    """
    if not arguments.orders and not arguments.cells:
        raise UserError("--orders and --cells are both empty: there is no model to compare")
    characters = arguments.tokenizer == "chars"
    _check_outputs(arguments)
    source, text = _read(arguments)
    parts = _split(source, text, characters)

    from fastrnn.language.comparison import compare_language_models, format_results

    try:
        vocabulary, data = _describe(source, arguments.tokenizer, *parts)
        print(_format_data(data), end="\n\n", flush=True)
        results = compare_language_models(
            build_models(arguments, vocabulary),
            *parts,
            sample_length=_SAMPLE_LENGTH[arguments.tokenizer],
            random_state=arguments.seed,
            verbose=1,
        )
    except ValueError as error:  # a text that a model cannot learn from: too short, or with a reserved token
        raise UserError(f"{source}: {error}") from error
    try:
        _write_outputs(arguments, data, results, characters)
    finally:  # the results are shown also when they cannot be written
        print(format_results(results, characters))
        for result in results:
            print(f"\n{result.model}:\n{textwrap.indent(result.sample, '  ')}")


def build_models(arguments, vocabulary):
    """Return the models to compare, by name.

    Parameters
    ----------
    arguments : argparse.Namespace
        The parsed command line.
    vocabulary : Vocabulary
        The vocabulary that all of them share.

    Returns
    -------
    dict of str to language model
    """
    from fastrnn.language.recurrent import RNNLanguageModel
    from fastrnn.ngram import NGramLanguageModel

    shared = {"tokenizer": arguments.tokenizer, "vocabulary": vocabulary}
    device = device_options(arguments)
    models = {f"{order}-gram": NGramLanguageModel(order=order, **shared) for order in arguments.orders}
    for cell in arguments.cells:
        models[f"{cell.upper()} {arguments.hidden_size}"] = RNNLanguageModel(
            cell=cell,
            embedding_size=arguments.hidden_size,
            hidden_size=arguments.hidden_size,
            max_iter=arguments.max_iter,
            random_state=arguments.seed,
            verbose=1,
            **device,
            **shared,
        )
    return models


def _check_outputs(arguments):
    """Check before the long work that its results can be written."""
    if arguments.json is not None:
        check_output("--json", arguments.json, arguments.files)
    if arguments.plot is not None:
        check_picture("--plot", arguments.plot, arguments.files)


def _read(arguments):
    """Return the name of the source and its text."""
    if not arguments.files:
        from fastrnn.datasets import load_python_docs

        sentences = load_python_docs().data
        return f"Python {platform.python_version()} documentation (pydoc_data.topics)", "\n".join(sentences)
    names = ("standard input" if file == "-" else file for file in arguments.files)
    return ", ".join(names), "\n".join(Texts(arguments.files, arguments.encoding))


def _split(source, text, characters):
    """Return the first 80% of the text, the next 10% and the last 10%, each as a list of str."""
    units = text if characters else [line for line in text.split("\n") if line.strip()]
    name, least = ("characters", _MIN_CHARACTERS) if characters else ("lines of text", _MIN_LINES)
    if len(units) < least:
        raise UserError(f"{source}: too short: {len(units)} {name}, at least {least} are needed")
    first, second = len(units) * 8 // 10, len(units) * 9 // 10
    parts = units[:first], units[first:second], units[second:]
    return [[part] for part in parts] if characters else parts


def _describe(source, tokenizer, train, valid, test):
    """Return the vocabulary of the training text, and a description of the data as a dict for the JSON file."""
    from fastrnn.text.tokenization import tokenize_corpus
    from fastrnn.text.vocabulary import Vocabulary

    tokens = {
        name: tokenize_corpus(part, tokenizer) for name, part in (("train", train), ("valid", valid), ("test", test))
    }
    vocabulary = Vocabulary(min_count=_MIN_COUNT).fit(tokens["train"])
    ids = {name: vocabulary.encode_corpus(sentences)[0] for name, sentences in tokens.items()}
    data = {
        "source": source,
        "tokenizer": tokenizer,
        "vocabulary_size": len(vocabulary),
        "sentences": {name: len(sentences) for name, sentences in tokens.items()},
        "tokens": {name: len(part) for name, part in ids.items()},
        "out_of_vocabulary": {name: int((part == vocabulary.unk_id).sum()) for name, part in ids.items()},
    }
    return vocabulary, data


def _format_data(data):
    lines = [data["source"], f"{data['vocabulary_size']:,} entries in the vocabulary: tokens seen at least twice"]
    for name, n_tokens in data["tokens"].items():
        unknown = data["out_of_vocabulary"][name] / n_tokens if n_tokens else 0.0
        lines.append(
            f"{name:>5}: {n_tokens:,} tokens in {data['sentences'][name]:,} texts, {unknown:.1%} out of vocabulary"
        )
    return "\n".join(lines)


def _write_outputs(arguments, data, results, characters):
    """Write the files that ``--json`` and ``--plot`` ask for."""
    from fastrnn.language.comparison import plot_results
    from fastrnn.utils.files import replaced_file

    try:
        if arguments.json:
            content = {"data": data, "models": [_finite(dataclasses.asdict(result)) for result in results]}
            with replaced_file(arguments.json) as temporary:
                temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if arguments.plot:
            plot_results(results, arguments.plot, characters)
    except OSError as error:
        raise UserError(f"the results could not be written: {_message(error)}") from error


def _finite(result):
    """Return `result` with None for the numbers that JSON cannot hold: infinity and NaN."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in result.items()}
