"""The n-gram language model."""

import numbers

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.base import BaseLanguageModel
from fastrnn.kernels.threads import effective_n_jobs, run, split
from fastrnn.ngram.arpa import find_twice, read_arpa, write_arpa
from fastrnn.ngram.counting import count_ngrams
from fastrnn.ngram.queries import next_probabilities, walk
from fastrnn.ngram.smoothing import additive, modified_kneser_ney
from fastrnn.ngram.table import NGramTable
from fastrnn.ngram.trie import Trie
from fastrnn.text import START_ID, UNK_ID, Vocabulary, close_sentences

MAX_ORDER = 16

_TOKENS_PER_THREAD = 10_000  # about 1 ms of work

_SMOOTHINGS = {
    "modified_kneser_ney": lambda counts, model: modified_kneser_ney(counts, model.discount_fallback),
    "add_k": lambda counts, model: additive(counts, model.k),
    "mle": lambda counts, model: additive(counts, 0),
}


class NGramLanguageModel(BaseLanguageModel):
    """N-gram language model.

    The probability of a token depends on the `order` - 1 tokens before it. Counts come from compiled sorts of the text,
    probabilities from compiled walks over arrays.

    Parameters
    ----------
    order : int
        The largest length of an n-gram, 1 to 16.
    smoothing : {"modified_kneser_ney", "add_k", "mle"}
        - "modified_kneser_ney": interpolated modified Kneser-Ney [1]_ [2]_, with the numbers of KenLM's ``lmplz``.
        - "add_k": relative frequencies after adding `k` to every count; all tokens are equally probable after a context
          that was never seen.
        - "mle": relative frequencies. What was never seen has probability 0, and so has every token after a context
          that was never seen; a perplexity can be infinite.
    tokenizer : {"words", "whitespace", "chars"} or callable
        What cuts texts into tokens, see `fastrnn.text.get_tokenizer`.
    lowercase : bool
        Whether text is converted to lower case first.
    min_count : int
        Tokens that appear less often than this in the training text become ``<unk>``.
    max_vocab : int or None
        The largest size of the vocabulary, four special tokens included; the most frequent tokens are kept.
    vocabulary : Vocabulary or None
        A fitted vocabulary that is used as it is, for models that share one; `min_count` and `max_vocab` do not apply.
    k : float
        What "add_k" adds, above 0.
    discount_fallback : bool
        Whether "modified_kneser_ney" uses the discounts 0.5, 1 and 1.5 for an order whose discounts cannot be
        estimated, with a warning (for the unigrams alone, which characters always need it for, with a line in the log):
        a small text has too few n-grams that appear once to four times. Otherwise that is an error.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens. Those of the training text that are not in it count as the ordinary token ``<unk>``.
    n_ngrams_ : list of int
        How many different n-grams there are of each order; ``<unk>``, ``<s>`` and ``</s>`` are unigrams.
    discounts_ : float64 array (order, 3) or None
        Of "modified_kneser_ney": what is taken from the counts 1, 2, and 3 or more of each order.
    nbytes_ : int
        The bytes of the arrays that probabilities are looked up in. The training text is kept besides, for
        `partial_fit`, with 4 bytes a token.

    References
    ----------
    .. [1] Stanley F. Chen and Joshua Goodman, "An empirical study of smoothing techniques for language modeling", 1998.
    .. [2] Kenneth Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013.

    Examples
    --------
    >>> model = NGramLanguageModel(order=2, smoothing="add_k", k=0.1)
    >>> model = model.fit(["the cat sat", "the dog sat", "the cat ran"])
    >>> model.predict(["", "the"])
    array(['the', 'cat'], dtype=object)
    >>> print(f"{model.perplexity(['the cat sat', 'the bird sat']):.2f}")
    2.68
    """

    def __init__(
        self,
        order=3,
        smoothing="modified_kneser_ney",
        tokenizer="words",
        lowercase=False,
        min_count=1,
        max_vocab=None,
        vocabulary=None,
        k=1.0,
        discount_fallback=True,
    ):
        self.order = order
        self.smoothing = smoothing
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.vocabulary = vocabulary
        self.k = k
        self.discount_fallback = discount_fallback

    def fit(self, X, y=None):
        """Learn from a text, and forget what was learned before.

        Parameters
        ----------
        X : iterable of (str or list of str)
            A sentence, line or document each.
        y : None
            Ignored.

        Returns
        -------
        self : NGramLanguageModel
        """
        return self._fit(X, Vocabulary(), np.empty(0, np.int32))

    def partial_fit(self, X, y=None):
        """Add a text to what was learned before.

        The result is that of one `fit` to all text together, the vocabulary included, and it takes as long: few large
        pieces are better than many small ones.

        Parameters
        ----------
        X : iterable of (str or list of str)
            A sentence, line or document each.
        y : None
            Ignored.

        Returns
        -------
        self : NGramLanguageModel
        """
        if not hasattr(self, "_text"):
            return self.fit(X)
        if self._text is None:
            raise ValueError("partial_fit needs the text that the model was fitted to, and this one came without it.")
        return self._fit(X, self._seen, self._text)

    def _fit(self, X, seen, text):
        """Learn from `text` (ids of the vocabulary `seen`, which holds all its tokens), and from X after it."""
        self._check_parameters()
        seen = Vocabulary.from_tokens(seen.tokens)
        ids, offsets = seen.extend_encode_corpus(self._read_training_text(X))
        text = np.concatenate([text, close_sentences(ids, offsets, start=True)[0]])
        if self.vocabulary is None:
            vocabulary = Vocabulary(self.min_count, self.max_vocab)
            ids_of_seen = vocabulary.fit_counts(seen.tokens, np.bincount(text, minlength=len(seen)))
        else:
            vocabulary = Vocabulary.from_tokens(self.vocabulary.tokens)  # a copy: what is given may be fitted again
            ids_of_seen = vocabulary.encode(seen.tokens)
        counts = count_ngrams(ids_of_seen[text], self.order, len(vocabulary))
        estimates = _SMOOTHINGS[self.smoothing](counts, self)

        self._seen, self._text = seen, text
        trie = Trie(counts.level_starts, counts.words, counts.first_child, counts.suffixes)
        self._set_table(NGramTable.from_trie(trie, _log10(estimates.probabilities), _log10(estimates.backoffs)))
        self.vocabulary_ = vocabulary
        self.discounts_ = estimates.discounts
        return self

    def _check_parameters(self):
        if not isinstance(self.order, numbers.Integral) or not 1 <= self.order <= MAX_ORDER:
            raise ValueError(f"order must be an integer from 1 to {MAX_ORDER}, got {self.order!r}.")
        if self.smoothing not in list(_SMOOTHINGS):
            raise ValueError(f"smoothing must be one of {', '.join(_SMOOTHINGS)}, got {self.smoothing!r}.")
        if not isinstance(self.k, numbers.Real) or not 0 < self.k < np.inf:
            raise ValueError(f"k must be a number above 0, got {self.k!r}.")
        if self.max_vocab is not None and (not isinstance(self.max_vocab, numbers.Integral) or self.max_vocab < 5):
            raise ValueError(f"max_vocab must be None or an integer of at least 5, got {self.max_vocab!r}.")

    @property
    def nbytes_(self):
        """Return the bytes of the arrays that probabilities are looked up in."""
        check_is_fitted(self)
        return self._table.nbytes

    @classmethod
    def from_arpa(cls, path, tokenizer="whitespace", lowercase=False):
        r"""Read a model from an ARPA file, of this package, KenLM, SRILM or another toolkit.

        N-grams may stand in any order, backoffs may be missing. The context or suffix that an n-gram lacks is added
        with the probability that it has without being there. Without ``<unk>`` unknown words have probability 0.

        Parameters
        ----------
        path : str or os.PathLike
            The file: plain text or compressed with gzip, bzip2 or xz.
        tokenizer : {"words", "whitespace", "chars"} or callable
            What cuts texts into tokens: it has to cut them as the text was that the model comes from.
        lowercase : bool
            Whether text is converted to lower case first.

        Returns
        -------
        NGramLanguageModel
            A fitted model. `partial_fit` cannot add to it, for the text it comes from is not in the file.

        Raises
        ------
        ValueError
            If it is no ARPA file, or a damaged one. The message names the line.

        Examples
        --------
        >>> lines = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "0 <s>", "-1 </s>", "-0.3 yes", "-0.4 no", "\\end\\"]
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.arpa")
        ...     _ = path.write_text("\n".join(lines))
        ...     model = NGramLanguageModel.from_arpa(path)
        >>> model.predict_proba([""]).round(3)
        array([[0.   , 0.   , 0.   , 0.1  , 0.501, 0.398]])
        """
        file = read_arpa(path)
        if len(file.levels) > MAX_ORDER:
            raise ValueError(f"{path} has n-grams of up to {len(file.levels)} words, more than {MAX_ORDER}.")
        try:
            table = NGramTable.from_ngrams(file.levels, len(file.tokens))
        except ValueError:
            if line := find_twice(file):
                raise ValueError(f"{path}, line {line}: the n-gram stands twice.") from None
            raise
        vocabulary = Vocabulary.from_tokens(file.tokens)
        model = cls._from_table(vocabulary, table, tokenizer=tokenizer, lowercase=lowercase)
        ids, log_probs, _ = file.levels[0]
        model._start_log_prob = float(log_probs[ids[:, 0] == START_ID][0])
        return model

    def to_arpa(self, path):
        """Write the model to an ARPA file, which KenLM, SRILM and other toolkits read.

        Parameters
        ----------
        path : str or os.PathLike
            The file, which is replaced whole or not at all. It is compressed if its name ends in ``.gz``, ``.bz2`` or
            ``.xz``.

        Raises
        ------
        ValueError
            If a token cannot stand in such a file: a space for instance.
        """
        check_is_fitted(self)
        (ids, log_probs, backoffs), *longer = self._table.levels()
        log_probs = np.where(ids[:, 0] == START_ID, np.float32(self._start_log_prob), log_probs)
        known = (ids[:, 0] != UNK_ID) | (log_probs > -np.inf)
        unigrams = ids[known], log_probs[known], None if backoffs is None else backoffs[known]
        write_arpa(path, self.vocabulary_.tokens, [unigrams, *longer])

    @classmethod
    def _from_table(cls, vocabulary, table, **params):
        """Return a fitted model of a table that came from elsewhere, without the text that `partial_fit` needs."""
        model = cls(order=table.order, **params)
        model.vocabulary_ = vocabulary
        model.discounts_ = None
        model._set_table(table)
        model._seen = model._text = None
        return model

    def _set_table(self, table):
        self._table = table
        self._start_log_prob = 0.0  # what an ARPA file says of <s>; it means nothing
        self.n_ngrams_ = np.diff(table.level_starts).tolist()
        self.n_ngrams_[0] -= 1  # <pad>

    def _start_contexts(self, n):
        contexts = np.full((n, self._table.order - 1), -1, np.int32)
        contexts[:, :1] = START_ID
        return contexts

    def _walk(self, ids, offsets, contexts):
        """Return natural log probabilities, float64 (n_tokens,), and the orders of the n-grams, uint8 (n_tokens,).

        `contexts` (n, order - 1) moves to the end of each text.
        """
        log_probs, orders = np.empty(len(ids)), np.empty(len(ids), np.uint8)
        n_jobs = min(effective_n_jobs(None), 1 + len(ids) // _TOKENS_PER_THREAD)
        pieces = split(len(offsets) - 1, n_jobs)
        run(walk, [(self._table, ids, offsets, *piece, contexts, log_probs, orders) for piece in pieces])
        return log_probs, orders

    def _token_log_probs(self, ids, offsets):
        return self._walk(ids, offsets, self._start_contexts(len(offsets) - 1))[0]

    def _read_contexts(self, ids, offsets):
        contexts = self._start_contexts(len(offsets) - 1)
        self._walk(ids, offsets, contexts)
        return contexts

    def _next_probabilities(self, state):
        V = len(self.vocabulary_)
        probabilities = np.empty((len(state), V))
        unigrams = 10.0 ** self._table.unigram_log_probs()
        n_jobs = min(effective_n_jobs(None), 1 + probabilities.size // _TOKENS_PER_THREAD)
        calls = [
            (self._table, state, *piece, unigrams, np.empty(V, np.int32), probabilities)
            for piece in split(len(state), n_jobs)
        ]
        run(next_probabilities, calls)
        return probabilities

    def _step(self, state, ids):
        contexts = state.copy()
        return self._walk(ids, np.arange(len(ids) + 1), contexts)[0], contexts

    def _advance(self, state, ids):
        return self._step(state, ids)[1]

    def matched_order(self, X):
        """Return how long an n-gram the probability of every token rests on.

        Parameters
        ----------
        X : iterable of (str or list of str)
            A sentence, line or document each.

        Returns
        -------
        list of uint8 array (n_tokens + 1,)
            For each sentence the order of the n-gram that ends in each of its tokens and in ``</s>``: 1 if the model
            has nothing longer.
        """
        ids, offsets = close_sentences(*self._encode(X))
        orders = self._walk(ids, offsets, self._start_contexts(len(offsets) - 1))[1]
        return np.split(orders, offsets[1:-1]) if len(offsets) > 1 else []

    def _take(self, state, rows):
        return state[rows]

    def _get_learned(self):
        content = {
            "discounts": None if self.discounts_ is None else self.discounts_.tolist(),
            "start_log_prob": self._start_log_prob,
            "seen_tokens": None if self._seen is None or self._seen == self.vocabulary_ else self._seen.tokens,
        }
        text = {} if self._text is None else {"text": self._text}
        return content, {**text, **self._table._asdict()}

    def _set_learned(self, content, arrays):
        self.discounts_ = None if content["discounts"] is None else np.array(content["discounts"])
        self._text = arrays.pop("text", None)
        tokens = content["seen_tokens"] or self.vocabulary_.tokens
        self._seen = None if self._text is None else Vocabulary.from_tokens(tokens)
        self._set_table(NGramTable(**arrays))
        self._start_log_prob = content["start_log_prob"]


def _log10(values):
    with np.errstate(divide="ignore"):  # probability 0
        return np.log10(values, dtype=np.float64).astype(np.float32)
