"""Scores of texts by language models: log probabilities of tokens and sentences, and perplexities."""

import numpy as np

from fastrnn.text.corpus import read_ids
from fastrnn.text.tokens import END_ID, UNK_ID, close_sentences
from fastrnn.utils.checks import check_choice, check_fitted
from fastrnn.utils.use import GuardedMixin


class Perplexity(float):
    """A perplexity: a float with the number of tokens that it was measured on.

    Its value is exp(-mean natural-log probability) over all tokens. ``</s>`` counts (unless ``eos=False``), ``<s>``
    does not. Tokens out of the vocabulary count with the probability of ``<unk>``, unless they are excluded.

    Attributes
    ----------
    n_tokens : int
        The number of tokens, ``</s>`` counted.
    n_oov : int
        The number of them that are out of the vocabulary.
    without_oov : float
        The perplexity without those.

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


class ScoringMixin(GuardedMixin):
    """The methods of language models that score texts; the methods that they call are in `BaseLanguageModel`."""

    def _score_tokens(self, X, independent=False, bos=True, eos=True):
        """Return ids, offsets and natural log probabilities of the tokens of X, ``</s>`` closing each sentence."""
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
        """Return the log probability of each token of a text.

        Parameters
        ----------
        X : as in `score_samples`
            A sentence, line or document each.
        independent, bos, eos : bool
            As in `score_samples`.

        Returns
        -------
        list of float64 array (n_tokens + 1,)
            For each sentence, the natural logarithms of the probabilities of its tokens and of ``</s>`` (unless
            ``eos=False``).
        """
        _, offsets, log_probs = self._score_tokens(X, independent, bos, eos)
        return np.split(log_probs, offsets[1:-1]) if len(offsets) > 1 else []

    def score_samples(self, X, *, independent=False, bos=True, eos=True):
        """Return the log likelihood of each sentence.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or ids
            A sentence, line or document each. A `pathlib.Path` means the lines of a text file or of all text files of a
            folder, an open file its lines. Ids of the vocabulary, each sentence closed by the id of ``</s>``, are an
            array of integers or the path of a ``.npy`` file, see `fastrnn.text.corpus.write_token_file`.
        independent : bool
            Whether each sentence is scored by itself, as the hypotheses of an n-best list are, even if the model
            carries its state from sentence to sentence. Other sentences then change no bit of its score.
        bos : bool
            Whether ``<s>`` precedes each sentence. Otherwise nothing does, and each sentence is scored by itself:
            an n-gram model begins with unigrams (those of unseen contexts: all equal with "add_k", 0 with "mle"), a
            network with the bias of its output.
        eos : bool
            Whether ``</s>``, the end of each sentence, is scored as a token.

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
            Whether tokens out of the vocabulary count, with the probability of ``<unk>``. Even if they are excluded,
            models with different vocabularies are not measured on the same tokens: compare `n_tokens`.
        independent, bos, eos : bool
            As in `score_samples`.

        Returns
        -------
        Perplexity
            A float (lower is better) with the number of tokens, the number of those out of the vocabulary, and the
            perplexity without them.
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


def _require_tokens(log_probs):
    if not len(log_probs):
        raise ValueError("X is empty: there is no token to average over.")
