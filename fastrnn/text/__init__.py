"""From text to token ids and back: tokenizers, reading, and the vocabulary."""

from fastrnn.text.columns import read_conll, write_conll
from fastrnn.text.normalization import NORMAL_FORMS, preprocess
from fastrnn.text.schemes import find_scheme, spans, to_scheme
from fastrnn.text.span_files import read_spans, write_spans
from fastrnn.text.subwords import train_subwords
from fastrnn.text.tokenization import iterate_corpus, tokenize, tokenize_corpus
from fastrnn.text.tokenizers import TOKENIZERS, Tokenizer, get_tokenizer
from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNK_ID, close_sentences
from fastrnn.text.vocabulary import Vocabulary

__all__ = [
    "END_ID",
    "NORMAL_FORMS",
    "PAD_ID",
    "SPECIAL_TOKENS",
    "START_ID",
    "TOKENIZERS",
    "UNK_ID",
    "Tokenizer",
    "Vocabulary",
    "close_sentences",
    "find_scheme",
    "get_tokenizer",
    "iterate_corpus",
    "preprocess",
    "read_conll",
    "read_spans",
    "spans",
    "to_scheme",
    "tokenize",
    "tokenize_corpus",
    "train_subwords",
    "write_conll",
    "write_spans",
]
