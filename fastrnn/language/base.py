"""The base class of all language models."""

import abc

import numpy as np
from sklearn.base import BaseEstimator

from fastrnn.language.decoding import DecodingMixin
from fastrnn.language.filling import FillingMixin
from fastrnn.language.generation import GenerationMixin
from fastrnn.language.saving import SavingMixin
from fastrnn.language.scoring import ScoringMixin
from fastrnn.text.normalization import check_preprocessing, preprocess
from fastrnn.text.tokenization import tokenize_corpus
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.text.word_table import encode_texts
from fastrnn.utils.brief import BriefHelpMixin
from fastrnn.utils.checks import check_fitted, shown


class BaseLanguageModel(
    BriefHelpMixin, ScoringMixin, GenerationMixin, DecodingMixin, FillingMixin, SavingMixin, BaseEstimator, abc.ABC
):  # fmt: skip
    """Base class of all language models.

    A subclass has the constructor parameters `tokenizer`, `lowercase`, `normalize`, `encoding` and `vocabulary`, sets
    ``vocabulary_`` when it is fitted, and writes the abstract methods below, which take and return ids. A *state* is
    the model's memory of n contexts, a row for each.
    """

    @abc.abstractmethod
    def _token_log_probs(self, ids, offsets):
        """Return the natural log probability of every token.

        Parameters
        ----------
        ids : int32 array (n_tokens,)
            Sentences, each closed by ``</s>``; the ``<s>`` before each is implied.
        offsets : int64 array (n_sentences + 1,)
            Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.

        Returns
        -------
        float64 array (n_tokens,)
        """

    def _sentence_log_probs(self, ids, offsets, bos=True):
        """Do as `_token_log_probs`, each sentence by itself, even if the model carries its state between sentences.

        Without `bos` nothing precedes a sentence, not even ``<s>``; a subclass must implement that.
        """
        if not bos:
            raise NotImplementedError(f"{type(self).__name__} has no probabilities without <s>: bos must be True.")
        return self._token_log_probs(ids, offsets)

    @abc.abstractmethod
    def _read_contexts(self, ids, offsets):
        """Return the state after reading ``<s>`` and the open contexts ``ids[offsets[i]:offsets[i + 1]]``."""

    @abc.abstractmethod
    def _next_probabilities(self, state):
        """Return the distribution of the next token, a new float64 array (n, V), for the n rows of a state."""

    @abc.abstractmethod
    def _advance(self, state, ids):
        """Return the state after one more token for each row; `ids` is an int32 array (n,)."""

    def _step(self, state, ids):
        """Return the natural log probability of one more token for each row, float64 (n,), and the state after it."""
        probabilities = self._next_probabilities(state)[np.arange(len(ids)), ids]
        with np.errstate(divide="ignore"):  # probability 0
            return np.log(probabilities), self._advance(state, ids)

    def _continuation_log_probs(self, state, ids):
        """Return the natural log probabilities of further tokens, float64 (n, T); `ids` is int32 (n, T)."""
        log_probs = np.empty(ids.shape)
        for t in range(ids.shape[1]):
            log_probs[:, t], state = self._step(state, ids[:, t])
        return log_probs

    def _distributions(self, ids):
        """Yield the distributions of the tokens of a closed sentence, int32 (T,), by itself: arrays (n, V)."""
        state = self._read_contexts(ids[:0], np.zeros(2, np.int64))
        for place in range(len(ids)):
            yield self._next_probabilities(state)
            state = self._advance(state, ids[place : place + 1])

    def _next_sentence(self, state):
        """Return the state of one row at the start of the next sentence; `state` is the one after ``</s>``."""
        return self.initial_state()

    def _is_state(self, state):
        """Return whether an object can be a state of one row. The user gives it, and kernels do not check it."""
        return True

    @abc.abstractmethod
    def _take(self, state, rows):
        """Return the state of the rows (n,) in this order; rows may be repeated."""

    @abc.abstractmethod
    def _get_learned(self):
        """Return what a file keeps besides parameters and vocabulary: a dict of plain values, and one of arrays."""

    @abc.abstractmethod
    def _set_learned(self, content, arrays):
        """Set the learned attributes from what `_get_learned` returned."""

    def _check_text_parameters(self):
        """Raise ValueError if a parameter for reading text is wrong."""
        get_tokenizer(self.tokenizer)
        check_preprocessing(self.normalize, self.encoding)
        if self.vocabulary is not None:
            if not isinstance(self.vocabulary, Vocabulary):
                raise ValueError(f"vocabulary must be None or a fitted Vocabulary, got {shown(self.vocabulary)}.")
            if len(self.vocabulary) == len(SPECIAL_TOKENS):
                raise ValueError("vocabulary is empty: fit it before it is given to a model.")

    def _text_options(self):
        """Return the parameters for reading text, as `fastrnn.text.tokenize_corpus` takes them."""
        return {name: getattr(self, name) for name in ("tokenizer", "lowercase", "normalize", "encoding")}

    def _read_training_text(self, X):
        """Return the token lists of X, which must not be empty."""
        self._check_text_parameters()
        token_lists = tokenize_corpus(X, **self._text_options(), learning=True)
        if not token_lists:
            raise ValueError("X is empty: a language model needs at least one sentence.")
        return token_lists

    def _encode(self, X):
        """Return ids (n_tokens,) and offsets (n_sentences + 1,) of a text for a fitted model."""
        check_fitted(self, "vocabulary_")
        if self.tokenizer == "whitespace":
            encoded = encode_texts(X, self.vocabulary_, self.lowercase, self.normalize)
            if encoded is not None:
                return encoded
        return self.vocabulary_.encode_corpus(tokenize_corpus(X, **self._text_options()))

    def initial_state(self):
        """Return the state at the start of a sentence, for `advance`.

        Returns
        -------
        state
            The model's state. It is never changed: one state can be advanced with many tokens.
        """
        return self._read_contexts(*self._encode([[]]))

    def advance(self, state, token):
        """Read one more token.

        Parameters
        ----------
        state : state
            From `initial_state`, or from this method.
        token : str
            The next token; ``"</s>"`` ends the sentence, and the next one begins.

        Returns
        -------
        log_prob : float
            The natural logarithm of the token's probability in this state.
        state
            The state after the token.

        Raises
        ------
        ValueError
            If `token` is not a string, or one of ``<pad>`` and ``<s>``, which are never predicted; or if `state` is not
            a state of this model.
        """
        check_fitted(self, "vocabulary_")
        self._check_state(state)
        if not isinstance(token, str) or token in (SPECIAL_TOKENS[PAD_ID], SPECIAL_TOKENS[START_ID]):
            raise ValueError(f"token must be a string other than '<pad>' and '<s>', got {shown(token)}.")
        ids = self.vocabulary_.encode([preprocess(token, self.lowercase, self.normalize)])
        log_probs, state = self._step(state, ids)
        return float(log_probs[0]), self._next_sentence(state) if ids[0] == END_ID else state

    def predict_proba(self, X):
        """Return the distribution of the next token.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            The contexts: beginnings of sentences; of files, each line. ``""`` or ``[]`` is the start of a sentence.

        Returns
        -------
        float64 array (n_contexts, V)
            The columns are in the order of ``vocabulary_.tokens``.
        """
        return self._next_probabilities(self._read_contexts(*self._encode(X)))

    def predict(self, X):
        """Return the most probable next token.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            The contexts: beginnings of sentences; of files, each line. ``""`` or ``[]`` is the start of a sentence.

        Returns
        -------
        object array (n_contexts,) of str
            ``</s>`` where the sentence most probably ends, or where no token has a probability.
        """
        ids, offsets = self._encode(X)
        state = self._read_contexts(ids, offsets)
        best = np.empty(len(offsets) - 1, np.intp)
        for rows in self._row_blocks(len(best)):
            probabilities = self._next_probabilities(self._take(state, rows))
            best[rows] = np.where(probabilities.any(axis=1), probabilities.argmax(axis=1), END_ID)
        return np.array(self.vocabulary_.tokens, dtype=object)[best]
