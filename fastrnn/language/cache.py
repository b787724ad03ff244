"""The cache: a language model of recent words."""

import itertools

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn._jit import kernel
from fastrnn.language.base import BaseLanguageModel
from fastrnn.text.tokens import PAD_ID, START_ID
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import check_positive_integer


class CacheLanguageModel(BaseLanguageModel):
    """Language model of recent words, a component of an `InterpolatedLanguageModel`.

    Texts repeat their words: the probability of a token is its share of the `window` tokens before it [1]_ [2]_. For
    the first token all tokens are equally probable. Tokens that are not in the window have probability 0.

    Parameters
    ----------
    window : int
        The number of tokens in the window; ``</s>`` and ``<unk>`` are tokens too.
    carry_state : bool
        Whether the window continues from sentence to sentence: X is a running text then, and scores depend on the order
        of its sentences. Otherwise each sentence begins with an empty window.
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
        The tokenizer, see `fastrnn.text.get_tokenizer`.
    lowercase : bool
        Whether texts are converted to lower case first.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None
        The normal form of Unicode that texts are converted to first, see `fastrnn.text.preprocess`.
    encoding : str
        The encoding of text files.
    vocabulary : Vocabulary or None
        A fitted vocabulary, used as it is; None takes all tokens of the text given to `fit`.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens.
    nbytes_ : int
        0: the model learns no arrays.

    References
    ----------
    .. [1] Roland Kuhn and Renato De Mori, "A cache-based natural language model for speech recognition", 1990.
    .. [2] Frederick Jelinek et al., "A dynamic language model for speech recognition", 1991.

    Examples
    --------
    >>> model = CacheLanguageModel(window=3).fit(["a b c"])
    >>> import numpy as np
    >>> np.exp(model.token_log_probs(["a a b a"])[0]).round(2)
    array([0.2 , 1.  , 0.  , 0.67, 0.  ])
    """

    def __init__(
        self,
        window=200,
        carry_state=True,
        tokenizer="words",
        lowercase=False,
        normalize=None,
        encoding="utf-8",
        vocabulary=None,
    ):
        self.window = window
        self.carry_state = carry_state
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize
        self.encoding = encoding
        self.vocabulary = vocabulary

    def fit(self, X=None, y=None):
        """Learn the tokens of a text unless a vocabulary is given.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or None
            A sentence, line or document each; it may be None with a given vocabulary.
        y : None
            Ignored.

        Returns
        -------
        self : CacheLanguageModel
        """
        return self._fit(X, Vocabulary())

    def partial_fit(self, X, y=None):
        """Learn the tokens of a further text unless a vocabulary is given.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            A sentence, line or document each.
        y : None
            Ignored.

        Returns
        -------
        self : CacheLanguageModel
        """
        return self._fit(X, getattr(self, "vocabulary_", Vocabulary()))

    def _fit(self, X, known):
        self._check_text_parameters()
        check_positive_integer("window", self.window)
        vocabulary = self.vocabulary
        if vocabulary is None:
            vocabulary = Vocabulary.from_tokens(known.tokens)
            vocabulary.extend_encode_corpus(self._read_training_text(X))
        self.vocabulary_ = vocabulary
        return self

    @property
    def nbytes_(self):
        """The bytes of the learned arrays: none."""
        check_is_fitted(self)
        return 0

    def _token_log_probs(self, ids, offsets):
        return self._log_shares(ids, offsets, bool(self.carry_state))

    def _sentence_log_probs(self, ids, offsets, bos=True):  # the window never holds <s>
        return self._log_shares(ids, offsets, False)

    def _log_shares(self, ids, offsets, carry):
        probabilities = np.empty(len(ids))
        counts = np.zeros(len(self.vocabulary_), np.int64)
        _shares(ids, offsets, self.window, carry, counts, probabilities)
        with np.errstate(divide="ignore"):  # probability 0
            return np.log(probabilities, out=probabilities)

    def _read_contexts(self, ids, offsets):
        state = np.full((len(offsets) - 1, self.window), PAD_ID, np.int32)  # the latest token is last
        for row, (begin, end) in zip(state, itertools.pairwise(offsets.tolist()), strict=True):
            recent = ids[max(begin, end - self.window) : end]
            row[self.window - len(recent) :] = recent
        return state

    def _next_probabilities(self, state):
        counts = np.zeros((len(state), len(self.vocabulary_)))
        np.add.at(counts, (np.arange(len(state))[:, np.newaxis], state), 1)
        counts[:, PAD_ID] = 0
        empty = ~counts.any(axis=1)
        counts[empty] = 1
        counts[empty, PAD_ID] = counts[empty, START_ID] = 0
        counts /= counts.sum(axis=1, keepdims=True)
        return counts

    def _advance(self, state, ids):
        return np.concatenate([state[:, 1:], ids[:, np.newaxis]], axis=1)

    def _next_sentence(self, state):
        return state if self.carry_state else super()._next_sentence(state)

    def _is_state(self, state):
        if not isinstance(state, np.ndarray) or state.dtype != np.int32 or state.shape != (1, self.window):
            return False
        return bool((state >= 0).all() and (state < len(self.vocabulary_)).all())

    def _take(self, state, rows):
        return state[rows]

    def _get_learned(self):
        return {}, {}

    def _set_learned(self, content, arrays):
        pass


@kernel
def _shares(
    ids,  # int32 (T,)
    offsets,  # int64 (n + 1,): text i is ids[offsets[i]:offsets[i + 1]]
    window,
    carry,
    counts,  # int64 (V,): zeros on entry
    probabilities,  # float64 (T,): output
):
    """Write each token's share of the tokens in the window before it."""
    begin = 0  # of the window
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1]):
            if j - begin > window:
                counts[ids[begin]] -= 1
                begin += 1
            probabilities[j] = counts[ids[j]] / (j - begin) if j > begin else 1 / (len(counts) - 2)
            counts[ids[j]] += 1
        if not carry:
            for j in range(begin, offsets[i + 1]):
                counts[ids[j]] -= 1
            begin = offsets[i + 1]
