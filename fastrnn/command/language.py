"""Subcommands that use a fitted language model, an n-gram model or a network."""

import argparse
import functools
import math

from fastrnn.command.common import (
    Texts,
    UserError,
    add_action,
    add_encoding,
    add_table,
    add_texts,
    load_table,
    not_negative,
    note,
    number,
    pick_good,
    positive,
    read_lines,
    seed,
)
from fastrnn.command.labels import on_one_line
from fastrnn.command.tables import take_text

_COLUMNS = {"good": "sentence_good", "bad": "sentence_bad", "group": "UID"}  # and BLiMP's names for them


def add_uses(actions, add_model, read_model):
    """Add the subcommands that use a model.

    Parameters
    ----------
    actions : argparse subparsers
    add_model : callable
        Adds the model to the arguments of a parser.
    read_model : callable
        Returns the model that the parsed arguments name.
    """
    for name, run, summary, add_arguments in (
        ("score", score, "print the perplexity of a text", _add_score),
        ("generate", generate, "draw texts from a model, one a line", _add_generate),
        ("complete", complete, "propose words for texts that are being typed", _add_complete),
        ("fill", fill, "find the words that fit best into a blank", _add_fill),
        ("pairs", pairs, "count the pairs of sentences whose good one a model finds more probable", _add_pairs),
    ):
        parser = add_action(actions, name, functools.partial(run, read_model), summary)
        add_model(parser)
        add_arguments(parser)


def _add_score(parser):
    add_texts(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--lines", action="store_true", help="print log10 of the probability of each line instead")
    what.add_argument(
        "--tokens", action="store_true", help="print a table of all tokens instead: the number of the line, the token, "
        "whether it is known, its surprisal in bits and its rank; each line is scored by itself",
    )  # fmt: skip
    parser.add_argument(
        "--independent", action="store_true", help="score each line by itself, as the lines of an n-best list are"
    )
    parser.add_argument(
        "--no-bos", dest="bos", action="store_false", help="a line does not begin a sentence: nothing precedes it"
    )
    parser.add_argument("--no-eos", dest="eos", action="store_false", help="the end of a line is not scored")


def _add_generate(parser):
    _add_number(parser, 1)
    parser.add_argument("--max-length", type=positive, default=100, metavar="N", help="most tokens (default: 100)")
    parser.add_argument("--prompt", help="the beginning of each text")
    parser.add_argument(
        "--temperature", type=not_negative, default=1.0, metavar="X", help="0 takes the most probable (default: 1.0)"
    )
    parser.add_argument("--top-k", type=positive, metavar="N", help="draw among the N most probable tokens")
    parser.add_argument(
        "--top-p", type=number, metavar="X", help="draw among the tokens that have this probability together"
    )
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end after this; may be given several times")
    parser.add_argument(
        "--beam-width", type=positive, metavar="N", help="search for the most probable texts instead of drawing"
    )
    parser.add_argument("--seed", type=seed, metavar="N")


def _add_complete(parser):
    _add_text(parser, "what is typed")
    _add_number(parser, 5)


def _add_fill(parser):
    _add_text(parser, "a sentence with a blank")
    _add_number(parser, 5)
    parser.add_argument("--blank", default="___", metavar="BLANK", help="the sign for the missing word (default: ___)")
    parser.add_argument(
        "--candidates", type=positive, default=20_000, metavar="N", help="most words that are compared (default: 20000)"
    )


def _add_pairs(parser):
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="table with two sentences a row")
    for column, other in _COLUMNS.items():
        parser.add_argument(f"--{column}-column", metavar="NAME", help=f"(default: {column}, or {other})")
    add_table(parser)
    parser.add_argument("--lines", action="store_true", help="print log10 of the probabilities of each pair instead")
    parser.add_argument("--known-only", action="store_true", help="leave out pairs with an unknown word")


def _add_number(parser, default):
    parser.add_argument(
        "-n", "--number", type=positive, default=default, metavar="N", help=f"how many (default: {default})"
    )


def _add_text(parser, what):
    parser.add_argument(
        "text", nargs=argparse.OPTIONAL, metavar="TEXT", help=f"{what} (default: lines of standard input)"
    )
    add_encoding(parser)


def score(read_model, arguments):
    """Print the perplexity of a text, or log10 of the probability of each line, or the surprisal of each token."""
    if arguments.tokens and not arguments.bos:
        raise UserError("--tokens and --no-bos cannot be asked for together: surprisal is that of whole sentences")
    model, texts = read_model(arguments), Texts(arguments.files, arguments.encoding)
    if arguments.tokens:
        _print_tokens(model, texts, arguments.eos)
        return
    options = {name: getattr(arguments, name) for name in ("independent", "bos", "eos")}
    if arguments.lines:
        for value in model.score_samples(texts, **options):
            print(_log10(value))
        return
    perplexity = model.perplexity(texts, **options)
    print(f"perplexity {float(perplexity):.4f}, without unknown words {perplexity.without_oov:.4f}")
    ends = "ends of lines counted, " if arguments.eos else ""
    print(f"{perplexity.n_tokens:,} tokens, {ends}{perplexity.n_oov:,} of them unknown")


def _print_tokens(model, texts, eos):
    from fastrnn.inspection import surprisal

    print("line", "token", "known", "bits", "rank", sep="\t")
    for line, text in enumerate(texts, start=1):
        rows = list(zip(*surprisal(model, text), strict=True))
        for token, known, bits, rank in rows if eos else rows[:-1]:
            print(line, on_one_line(token), "yes" if known else "no", f"{bits:.4f}", rank, sep="\t")


def generate(read_model, arguments):
    """Print texts that a model writes, one a line."""
    model = read_model(arguments)
    names = ["max_length", "prompt", "stop"]
    if arguments.beam_width:
        options = {name: getattr(arguments, name) for name in [*names, "beam_width"]}
        texts = (text for text, _ in model.beam_search(n=arguments.number, **options))
    else:
        options = {name: getattr(arguments, name) for name in [*names, "temperature", "top_k", "top_p"]}
        texts = model.sample(arguments.number, random_state=arguments.seed, **options)
    for text in texts:
        print(text)


def complete(read_model, arguments):
    """Print the words that may follow a text, or a line of them for each line of standard input."""
    model = read_model(arguments)
    _print_words(arguments, lambda text: model.complete(text, arguments.number))


def fill(read_model, arguments):
    """Print the words that fit into the blank of a text, or a line of them for each line of standard input."""
    model = read_model(arguments)

    def words(text):
        found = model.fill(text, n=arguments.number, blank=arguments.blank, candidates=arguments.candidates)
        if not found.exact:
            note(f"only the {found.n_candidates:,} words most probable after the text before the blank were compared")
        return found

    _print_words(arguments, words)


def _print_words(arguments, words_for):
    if arguments.text is not None:
        for word, probability in words_for(arguments.text):
            print(f"{probability:.4f} {word}")
        return
    for line in read_lines("-", arguments.encoding):
        print(*(word for word, _ in words_for(line)), flush=True)


def pairs(read_model, arguments):
    """Print how often a model finds the good one of two sentences more probable."""
    from fastrnn.inspection import minimal_pairs

    model, table = read_model(arguments), load_table(arguments)
    names = [_pairs_column(table, arguments, column) for column in _COLUMNS]
    if names[-1] is None:
        names.pop()
    if len({*names}) < len(names):
        raise UserError(f"{table.name}: each column can be one thing only, got {', '.join(map(repr, names))}")
    good, bad, *groups = pick_good(table, dict.fromkeys(names, take_text))
    oov = "exclude" if arguments.known_only else "include"
    result = minimal_pairs(model, good, bad, groups[0] if groups else None, oov)
    if result.n_excluded:
        note(f"{table.name}: {result.n_excluded:,} of {len(good):,} pairs left out: they have an unknown word")
    if arguments.lines:
        for each in zip(result.good_scores, result.bad_scores, strict=True):
            print(*map(_log10, each), sep="\t")
        return
    print("accuracy\tpairs\tties\tgroup")
    rows = zip(result.group_accuracies, result.group_counts, result.group_ties, result.groups, strict=True)
    for accuracy, n_pairs, n_ties, name in rows if groups else ():
        print(f"{accuracy:.4f}", n_pairs, n_ties, on_one_line(name), sep="\t")
    print(f"{result.accuracy:.4f}", result.n_pairs, result.n_ties, "all", sep="\t")


def _pairs_column(table, arguments, column):
    """Return the requested column, or the usual one; None if it is that of groups and the table has none."""
    name = getattr(arguments, f"{column}_column")
    if name is not None:
        return name
    there = [usual for usual in (column, _COLUMNS[column]) if usual in table.columns]
    return there[0] if there else None if column == "group" else column


def _log10(natural):
    return f"{natural / math.log(10):.6f}"
