"""The ``fastrnn lm`` command: training and use of recurrent language models."""

import math
import pathlib

from fastrnn.command.common import (
    Texts,
    add_action,
    add_checkpoint,
    add_device,
    add_device_of_use,
    add_normalize,
    add_texts,
    check_output,
    checkpoint_options,
    device_options,
    number,
    placed,
    positive,
    save_model,
    seed,
)
from fastrnn.command.language import add_uses

_LARGEST_EXPONENT = 709  # math.exp raises above it
_SUBWORDS = ("bpe", "unigram")
_TOKENIZERS = ("words", "whitespace", "chars", "bytes", *_SUBWORDS)


def add_parsers(commands):
    """Add ``lm`` and its subcommands to the subcommands of ``fastrnn``."""
    lm = commands.add_parser("lm", help="train recurrent language models, score, generate and complete text with them")
    actions = lm.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_train(actions)
    add_uses(actions, _add_model, _read)


def _add_model(parser):
    parser.add_argument("model", type=pathlib.Path, metavar="MODEL", help="a saved model")
    add_device_of_use(parser)


def _add_train(actions):
    parser = add_action(actions, "train", train, "train a model on text")
    add_texts(parser)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, metavar="MODEL", help="file to write")
    parser.add_argument("--valid", metavar="FILE", help="text to stop early by (default: the last 5%% of the text)")
    parser.add_argument("--cell", default="lstm", help="(default: lstm)")
    for name, default, what in (
        ("--embedding-size", 128, "length of a token's vector"),
        ("--hidden-size", 128, "units of a layer"),
        ("--num-layers", 1, "recurrent layers"),
        ("--max-iter", 10, "most epochs"),
        ("--batch-size", 20, "streams of text side by side"),
        ("--bptt-length", 35, "steps through which gradients go back"),
        ("--min-count", 1, "rarer tokens are unknown"),
    ):
        parser.add_argument(name, type=positive, default=default, metavar="N", help=f"{what} (default: {default})")
    parser.add_argument("--max-vocab", type=positive, metavar="N", help="most tokens in the vocabulary")
    parser.add_argument("--learning-rate", type=number, default=2e-3, metavar="X", help="(default: 0.002)")
    parser.add_argument("--dropout", type=float, default=0.0, metavar="P", help="(default: 0)")
    parser.add_argument("--tie-weights", action="store_true", help="one matrix for embedding and output")
    parser.add_argument("--tokenizer", choices=_TOKENIZERS, default="words", help="(default: words)")
    parser.add_argument(
        "--pieces", type=positive, default=8000, metavar="N", help="of bpe and unigram, which are learned first "
        "(default: 8000; needs the package tokenizers)",
    )  # fmt: skip
    parser.add_argument("--lowercase", action="store_true", help="convert text to lower case first")
    add_normalize(parser)
    parser.add_argument("--sentences", action="store_true", help="lines are independent (default: a running text)")
    parser.add_argument("--recipe", choices=["awd"], help="that of AWD-LSTM, where no other value is asked for")
    add_checkpoint(parser)
    add_device(parser)
    parser.add_argument("--seed", type=seed, metavar="N")


def train(arguments):
    """Carry out ``fastrnn lm train``."""
    from fastrnn.language.recurrent import RNNLanguageModel

    read = [*arguments.files, *([arguments.valid] if arguments.valid else [])]
    check_output("--output", arguments.output, read)  # before the long work
    checkpoint = checkpoint_options(arguments, read)
    text = Texts(arguments.files, arguments.encoding)
    if arguments.tokenizer in _SUBWORDS:  # the text is read twice, and standard input only once
        text = list(text)
    names = ("cell", "embedding_size", "hidden_size", "num_layers", "max_iter", "batch_size", "bptt_length",
             "min_count", "max_vocab", "dropout", "tie_weights", "lowercase", "normalize", "recipe")  # fmt: skip
    model = RNNLanguageModel(
        **{name: getattr(arguments, name) for name in names},
        **device_options(arguments),
        tokenizer=_tokenizer(arguments, text),
        learning_rate_init=arguments.learning_rate,
        carry_state=not arguments.sentences,
        random_state=arguments.seed,
        verbose=1,
    )
    validation = Texts([arguments.valid], arguments.encoding) if arguments.valid else None
    model.fit(text, X_val=validation, **checkpoint).set_params(verbose=0)  # whoever loads the file decides
    save_model(model.save, arguments.output)
    loss = -max(model.validation_scores_)
    perplexity = math.exp(loss) if loss < _LARGEST_EXPONENT else math.inf
    print(f"{arguments.output}: {model.n_parameters_:,} parameters, {len(model.vocabulary_) - 4:,} tokens, "
          f"validation perplexity {perplexity:.2f}")  # fmt: skip


def _tokenizer(arguments, lines):
    """Return the tokenizer; one of subwords is learned from the text."""
    if arguments.tokenizer not in _SUBWORDS:
        return arguments.tokenizer
    from fastrnn.text.subwords import train_subwords

    return train_subwords(
        lines, arguments.pieces, arguments.tokenizer, arguments.lowercase, arguments.normalize, verbose=1
    )


def _read(arguments):
    """Return the model that the command line names."""
    from fastrnn.language.recurrent import RNNLanguageModel

    return placed(RNNLanguageModel.load, arguments.model, arguments)
