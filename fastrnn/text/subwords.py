"""Subword tokenizers of the library tokenizers: training, wrapping, comparing, and storing them in JSON."""

import json

from fastrnn.text.normalization import preprocess, without_surrogates
from fastrnn.text.reading import check_texts, iterate_texts
from fastrnn.text.tokens import SPECIAL_TOKENS, UNK_ID
from fastrnn.utils.checks import check_choice, check_positive_integer, shown
from fastrnn.utils.optional import optional_module
from fastrnn.utils.progress import Progress


def is_subword_tokenizer(tokenizer):
    """Return whether a tokenizer is an object of the library tokenizers."""
    return hasattr(tokenizer, "encode") and hasattr(tokenizer, "to_str")


def subword_functions(tokenizer):
    """Return the functions of a subword tokenizer: one cuts a text, the other joins tokens.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer

    Returns
    -------
    split : callable, str -> list of str
        The library's own unknown token becomes ``<unk>``.
    join : callable, list of str -> str
    """
    unknown, decoder = getattr(tokenizer.model, "unk_token", None), tokenizer.decoder

    def split(text):
        tokens = tokenizer.encode(without_surrogates(text), add_special_tokens=False).tokens
        return [SPECIAL_TOKENS[UNK_ID] if token == unknown else token for token in tokens]

    return split, " ".join if decoder is None else decoder.decode


def subword_offsets(tokenizer):
    """Return a function that gives the places of a text's tokens, see `fastrnn.text.Tokenizer`."""

    def offsets(text, tokens):
        return tokenizer.encode(without_surrogates(text), add_special_tokens=False).offsets

    return offsets


def tokenizer_to_plain(tokenizer):
    """Return a tokenizer as a value that JSON can hold, where one exists.

    Parameters
    ----------
    tokenizer : str, callable or tokenizers.Tokenizer; or a pair of them

    Returns
    -------
    str, callable or dict; or a list of them
        A callable is returned unchanged.
    """
    if isinstance(tokenizer, tuple | list):
        return list(map(tokenizer_to_plain, tokenizer))
    return {"tokenizers": tokenizer.to_str()} if is_subword_tokenizer(tokenizer) else tokenizer


def tokenizer_from_plain(value):
    """Return the tokenizer that a plain value describes.

    Parameters
    ----------
    value : str, callable or dict
        The value that `tokenizer_to_plain` returned.

    Returns
    -------
    str, callable or tokenizers.Tokenizer; or a tuple of them
    """
    if isinstance(value, tuple | list):
        return tuple(map(tokenizer_from_plain, value))
    return _library().Tokenizer.from_str(value["tokenizers"]) if isinstance(value, dict) else value


def same_tokenizer(first, second):
    """Return whether two values of the parameter `tokenizer` mean the same."""
    if is_subword_tokenizer(first) and is_subword_tokenizer(second):
        # The library misreads the last digit of the numbers that it wrote.
        first, second = (
            json.loads(each.to_str(), parse_float=lambda x: round(float(x), 9)) for each in (first, second)
        )
    return first == second


def train_subwords(X, vocab_size=8000, method="bpe", lowercase=False, normalize=None, encoding="utf-8", verbose=0):
    """Learn from a text how to cut words into pieces, with the library tokenizers.

    Parameters
    ----------
    X : iterable of str, os.PathLike, or file object
        The text: lines or documents, or files of them.
    vocab_size : int
        Largest number of pieces.
    method : {"bpe", "unigram"}
        "bpe" merges the most frequent pairs of pieces, starting from bytes, so that no text is unknown [1]_. "unigram"
        chooses the pieces that make the text most probable [2]_.
    lowercase, normalize, encoding
        As for the model that will use the tokenizer.
    verbose : int
        1 shows on stderr how many texts are read. If stderr is not a terminal, lines are written through `logging`.

    Returns
    -------
    tokenizers.Tokenizer
        A value for the parameter `tokenizer` of a language model.

    References
    ----------
    .. [1] Rico Sennrich, Barry Haddow and Alexandra Birch, "Neural machine translation of rare words with subword
       units", 2016.
    .. [2] Taku Kudo, "Subword regularization", 2018.
    """
    check_positive_integer("vocab_size", vocab_size)
    check_choice("method", method, ("bpe", "unigram"))
    check_texts(X)
    tokenizer, trainer = (_new_bpe if method == "bpe" else _new_unigram)(_library(), int(vocab_size))

    def texts(progress):
        for index, text in enumerate(iterate_texts(X, encoding)):
            if not isinstance(text, str):
                raise ValueError(f"X[{index}] must be a string, got {shown(text)}.")
            yield without_surrogates(preprocess(text, lowercase, normalize))
            progress.count(1)
        progress.describe("choosing pieces")

    with Progress("subwords", verbose, "texts") as progress:
        try:
            tokenizer.train_from_iterator(texts(progress), trainer)
        except Exception as error:
            if type(error) is not Exception:  # the library raises nothing more precise
                raise
            raise ValueError(f"No {vocab_size} pieces can be learned from X: {error}.") from None
        progress.line(f"{tokenizer.get_vocab_size():,} pieces of {progress.n:,} texts, {progress.seconds:.1f} s")
    return tokenizer


def _new_bpe(library, vocab_size):
    """Return an untrained byte-pair tokenizer and its trainer."""
    byte_level = library.pre_tokenizers.ByteLevel
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = byte_level(add_prefix_space=False), library.decoders.ByteLevel()
    return tokenizer, library.trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=byte_level.alphabet()
    )


def _new_unigram(library, vocab_size):
    """Return an untrained unigram tokenizer and its trainer."""
    unknown = SPECIAL_TOKENS[UNK_ID]
    tokenizer = library.Tokenizer(library.models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = library.pre_tokenizers.Metaspace(), library.decoders.Metaspace()
    return tokenizer, library.trainers.UnigramTrainer(
        vocab_size=vocab_size, show_progress=False, unk_token=unknown, special_tokens=[unknown]
    )


def _library():
    return optional_module("tokenizers", "Subwords need the library")
