"""From text to token ids and back: tokenizers, reading, and the vocabulary."""

from fastrnn.text.normalization import NORMAL_FORMS, preprocess
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
    "get_tokenizer",
    "iterate_corpus",
    "preprocess",
    "tokenize",
    "tokenize_corpus",
    "train_subwords",
]
