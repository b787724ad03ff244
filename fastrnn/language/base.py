"""The base class of all language models: how text comes in, scores, perplexity, prediction, sampling, files."""

import abc

import numpy as np
from sklearn.base import BaseEstimator

from fastrnn.language.filling import FillingMixin
from fastrnn.persistence import load_model, plain_parameter, rebuilt, save_model
from fastrnn.text.corpus import read_ids
from fastrnn.text.normalization import check_preprocessing, preprocess
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain
from fastrnn.text.tokenization import tokenize_corpus
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNK_ID, close_sentences
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.text.word_table import encode_texts
from fastrnn.utils.checks import check_choice, check_fitted, shown


class Perplexity(float):
    """A perplexity, which knows what it was measured on.

    Its value is exp(-mean natural-log probability) over all tokens, ``</s>`` included (unless ``eos=False``), ``<s>``
    not, tokens out of the vocabulary counted with the probability of ``<unk>`` (or not, if they were excluded).

    Attributes
    ----------
    n_tokens : int
        The number of tokens, ``</s>`` counted.
    n_oov : int
        How many of them were out of the vocabulary.
    without_oov : float
        The perplexity when those are left out of the sum and of the count.

    Examples
    --------
    >>> perplexity = Perplexity(12.5, n_tokens=100, n_oov=3, without_oov=11.0)
    >>> perplexity < 13, perplexity.n_oov
    (True, 3)
    """

    def __new__(cls, value, n_tokens, n_oov, without_oov):
        """Make a float with attributes."""
        self = super().__new__(cls, value)
        self.n_tokens = n_tokens
        self.n_oov = n_oov
        self.without_oov = without_oov
        return self

    def __getnewargs__(self):
        return float(self), self.n_tokens, self.n_oov, self.without_oov


class BaseLanguageModel(FillingMixin, BaseEstimator, abc.ABC):
    """The methods that n-gram and recurrent language models share.

    A subclass has the constructor parameters `tokenizer`, `lowercase`, `normalize`, `encoding` and `vocabulary`, sets
    ``vocabulary_`` when it is fitted, and writes the abstract methods below. Those speak of ids only. A *state* is
    whatever the model remembers of n contexts, a row each.
    """

    @abc.abstractmethod
    def _token_log_probs(self, ids, offsets):
        """Return the natural log probability of every token.

        Parameters
        ----------
        ids : int32 array (n_tokens,)
            Sentences, each closed by ``</s>``; ``<s>`` is not written, but stands before each.
        offsets : int64 array (n_sentences + 1,)
            Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.

        Returns
        -------
        float64 array (n_tokens,)
        """

    def _sentence_log_probs(self, ids, offsets, bos=True):
        """Do as `_token_log_probs`, each sentence by itself, also where a model goes on from one to the next.

        Without `bos` nothing stands before a sentence, not even ``<s>``: that is for a subclass to write.
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
        """Return the state after one more token a row; `ids` is an int32 array (n,)."""

    def _step(self, state, ids):
        """Return the natural log probability of one more token a row, float64 (n,), and the state after it."""
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
        """Yield the distributions of the tokens of a closed sentence by itself, int32 (T,): (n, V), some at a time."""
        state = self._read_contexts(ids[:0], np.zeros(2, np.int64))
        for place in range(len(ids)):
            yield self._next_probabilities(state)
            state = self._advance(state, ids[place : place + 1])

    def _next_sentence(self, state):
        """Return the state, of one row, that the next sentence begins with, from the one after ``</s>``."""
        return self.initial_state()

    def _is_state(self, state):
        """Return whether something may be a state of one row: kernels trust it, and it comes back from the user."""
        return True

    @abc.abstractmethod
    def _take(self, state, rows):
        """Return the state of these rows (n_rows,) only, in this order, repetitions allowed."""

    @abc.abstractmethod
    def _get_learned(self):
        """Return what `save` has to keep besides parameters and vocabulary: a dict of plain values, one of arrays."""

    @abc.abstractmethod
    def _set_learned(self, content, arrays):
        """Take back what `_get_learned` returned."""

    def _check_text_parameters(self):
        """Raise ValueError if a parameter that says how text is read is wrong."""
        get_tokenizer(self.tokenizer)
        check_preprocessing(self.normalize, self.encoding)
        if self.vocabulary is not None:
            if not isinstance(self.vocabulary, Vocabulary):
                raise ValueError(f"vocabulary must be None or a fitted Vocabulary, got {shown(self.vocabulary)}.")
            if len(self.vocabulary) == len(SPECIAL_TOKENS):
                raise ValueError("vocabulary is empty: fit it before it is given to a model.")

    def _text_options(self):
        """Return the parameters that say how text is read, as `fastrnn.text.tokenize_corpus` takes them."""
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

    def _score_tokens(self, X, independent=False, bos=True, eos=True):
        """Return ids, offsets and natural log probabilities of the tokens of X, ``</s>`` after each sentence."""
        check_fitted(self, "vocabulary_")
        corpus = read_ids(X, self.vocabulary_)
        if corpus is None:
            ids, offsets = close_sentences(*self._encode(X))
        else:
            ids, offsets = np.ascontiguousarray(corpus.ids, np.int32), corpus.offsets
        if independent or not bos:
            log_probs = self._sentence_log_probs(ids, offsets, bos)
        else:
            log_probs = self._token_log_probs(ids, offsets)
        if eos:
            return ids, offsets, log_probs
        counted = ids != END_ID
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counted)])[offsets]
        return ids[counted], offsets, log_probs[counted]

    def token_log_probs(self, X, *, independent=False, bos=True, eos=True):
        """Return the log probability of every token of a text.

        Parameters
        ----------
        X : as in `score_samples`
            A sentence, line or document each.
        independent, bos, eos : bool
            As in `score_samples`.

        Returns
        -------
        list of float64 array (n_tokens + 1,)
            For each sentence the natural logarithm of the probability of each of its tokens, and of ``</s>`` (unless
            ``eos=False``).
        """
        _, offsets, log_probs = self._score_tokens(X, independent, bos, eos)
        return np.split(log_probs, offsets[1:-1]) if len(offsets) > 1 else []

    def score_samples(self, X, *, independent=False, bos=True, eos=True):
        """Return the log likelihood of every sentence.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or ids
            A sentence, line or document each. A path (a `pathlib.Path`) stands for the lines of a text file, or of all
            text files of a folder; an open file for its lines. Ids of the vocabulary, every sentence closed by that of
            ``</s>``, are an array of integers or the path of a ``.npy`` file, see
            `fastrnn.text.corpus.write_token_file`.
        independent : bool
            Whether each sentence is scored by itself, as the hypotheses of an n-best list are, also by a model that
            otherwise goes on from one sentence to the next. The other sentences then change no bit of its score.
        bos : bool
            Whether each sentence begins as one does, after ``<s>``. Otherwise it is scored by itself with nothing
            before it: an n-gram model begins with unigrams (which are those of unseen contexts: all equal with
            "add_k", 0 with "mle"), a network with the bias of its output.
        eos : bool
            Whether the end of each sentence, ``</s>``, is scored as a token.

        Returns
        -------
        float64 array (n_sentences,)
            The natural logarithm of the probability of each sentence.

        Examples
        --------
        >>> from fastrnn import NGramLanguageModel
        >>> model = NGramLanguageModel(2, smoothing="witten_bell").fit(["a b", "b c"])
        >>> import numpy as np
        >>> np.exp(model.score_samples(["a b", "b"])).round(2)
        array([0.08, 0.15])
        >>> np.exp(model.score_samples(["a b", "b"], bos=False, eos=False)).round(2)
        array([0.12, 0.28])
        """
        _, offsets, log_probs = self._score_tokens(X, independent, bos, eos)
        if eos:  # every sentence has a token
            return np.add.reduceat(log_probs, offsets[:-1])
        sums = np.zeros(len(offsets) - 1)
        filled = offsets[:-1] < offsets[1:]
        sums[filled] = np.add.reduceat(log_probs, offsets[:-1][filled])
        return sums

    def score(self, X, y=None, *, independent=False, bos=True, eos=True):
        """Return the mean log likelihood of a token.

        Parameters
        ----------
        X : as in `score_samples`
            A sentence, line or document each.
        y : None
            Ignored.
        independent, bos, eos : bool
            As in `score_samples`.

        Returns
        -------
        float
            The mean natural logarithm of the probability of a token, ``</s>`` counted: higher is better.
        """
        log_probs = self._score_tokens(X, independent, bos, eos)[2]
        _require_tokens(log_probs)
        return float(log_probs.mean())

    def perplexity(self, X, oov="include", *, independent=False, bos=True, eos=True):
        """Return the perplexity of a text.

        Parameters
        ----------
        X : as in `score_samples`
            A sentence, line or document each.
        oov : {"include", "exclude"}
            Whether tokens out of the vocabulary count, with the probability of ``<unk>``. Without them the perplexities
            of models whose vocabularies differ are still not those of the same text: look at the number of tokens.
        independent, bos, eos : bool
            As in `score_samples`.

        Returns
        -------
        Perplexity
            A float (lower is better), which also says how many tokens there were, how many of them out of the
            vocabulary, and the perplexity without those.
        """
        check_choice("oov", oov, ("include", "exclude"))
        ids, _, log_probs = self._score_tokens(X, independent, bos, eos)
        _require_tokens(log_probs)
        known = ids != UNK_ID
        if not known.any():  # without </s>
            if oov == "exclude":
                raise ValueError("X has no known token: there is nothing to average over with oov='exclude'.")
            return Perplexity(np.exp(-log_probs.mean()), n_tokens=len(ids), n_oov=len(ids), without_oov=np.nan)
        with np.errstate(over="ignore"):  # where a token has probability 0
            with_oov, without_oov = float(np.exp(-log_probs.mean())), float(np.exp(-log_probs[known].mean()))
        n_oov = len(ids) - int(np.count_nonzero(known))
        value = with_oov if oov == "include" else without_oov
        return Perplexity(value, n_tokens=len(ids), n_oov=n_oov, without_oov=without_oov)

    def initial_state(self):
        """Return what the model remembers at the start of a sentence, for `advance`.

        Returns
        -------
        state
            It is never changed: one state can be advanced with many tokens.
        """
        return self._read_contexts(*self._encode([[]]))

    def advance(self, state, token):
        """Read one more token.

        Parameters
        ----------
        state : state
            From `initial_state`, or from this method.
        token : str
            The token that comes next; ``"</s>"`` is the end of the sentence, after which the next one begins.

        Returns
        -------
        log_prob : float
            The natural logarithm of the token's probability after what was read.
        state
            What the model remembers after the token.

        Raises
        ------
        ValueError
            If `token` is no string, or is ``<pad>`` or ``<s>``, which nothing predicts, or if `state` is no state of
            this model.
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

    def save(self, path):
        """Write the fitted model to one safetensors file, which holds no code.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            If a parameter is no plain value (a callable tokenizer for instance): the message says what to do.
        """
        check_fitted(self, "vocabulary_")
        save_model(path, type(self).__name__, *self._pack())

    def _stored_params(self):
        """Return the constructor's parameters that a file keeps; the vocabulary stands there anyway."""
        params = self.get_params(deep=False)
        params.pop("vocabulary", None)
        if "tokenizer" in params:
            params["tokenizer"] = tokenizer_to_plain(params["tokenizer"])
        return params

    def _pack(self):
        """Return what a file keeps of a fitted model: parameters and content in plain values, and arrays."""
        params = {name: plain_parameter(name, value) for name, value in self._stored_params().items()}
        content, arrays = self._get_learned()
        given = {"tokens": self.vocabulary_.tokens, "vocabulary_given": self.vocabulary is not None}
        return params, {**content, **given}, arrays

    @classmethod
    def load(cls, path, verify=True):
        """Read a model that `save` wrote.

        The learned arrays are mapped into memory, which n-gram models use as they are: pages of the file are read when
        they are needed, and processes share them. Replace the file (as `save` does), but do not change it in place.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        verify : bool
            Whether the whole file is read once to compare it with its checksum (two or three gigabytes a second).
            Without that a damaged file may give wrong numbers or end the process; loading takes as long for any size.

        Returns
        -------
        A fitted model of this class.

        Raises
        ------
        ValueError
            If the file is no saved model, is damaged or incomplete, or holds a model of another class or of another
            version of the format.
        """
        params, content, arrays = load_model(path, cls.__name__, verify)
        with rebuilt(path, cls.__name__):
            return cls._unpack(params, content, arrays)

    @classmethod
    def _unpack(cls, params, content, arrays):
        """Return the fitted model that `_pack` took apart."""
        vocabulary = Vocabulary.from_tokens(content.pop("tokens"))
        if "tokenizer" in params:
            params["tokenizer"] = tokenizer_from_plain(params["tokenizer"])
        model = cls(**params, **({"vocabulary": vocabulary} if content.pop("vocabulary_given") else {}))
        model.vocabulary_ = vocabulary
        model._set_learned(content, arrays)
        return model


def _require_tokens(log_probs):
    if not len(log_probs):
        raise ValueError("X is empty: there is no token to average over.")
