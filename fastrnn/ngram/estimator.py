"""The n-gram language model."""

import itertools
import numbers

import numpy as np

from fastrnn.kernels.threads import effective_n_jobs
from fastrnn.language.base import BaseLanguageModel
from fastrnn.ngram.estimation import EstimationOptions, estimate_table
from fastrnn.ngram.exchange import ArpaMixin
from fastrnn.ngram.inference import NGramInferenceMixin
from fastrnn.ngram.smoothing import SMOOTHINGS
from fastrnn.ngram.table import MAX_ORDER, NGramTable
from fastrnn.ngram.workspace import Workspace, parse_bytes
from fastrnn.text.corpus import learn_vocabulary
from fastrnn.text.tokenization import batches, iterate_corpus
from fastrnn.text.tokens import SPECIAL_TOKENS, close_sentences
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import check_choice, check_fitted, check_not_negative, shown
from fastrnn.utils.progress import Progress

_TOKENS_AT_ONCE = 1 << 19  # tokens that are held as Python strings, at most
_BYTES_PER_TOKEN = 200  # of Python strings; two batches are held at a time


class NGramLanguageModel(ArpaMixin, NGramInferenceMixin, BaseLanguageModel):
    """N-gram language model.

    The probability of a token depends on the `order` - 1 tokens before it. Compiled code sorts the text to count
    n-grams, and walks over arrays to estimate and look up probabilities.

    Parameters
    ----------
    order : int
        The largest length of an n-gram, 1 to 16.
    smoothing : str
        - "modified_kneser_ney": interpolated modified Kneser-Ney [1]_ [2]_, with the numbers of KenLM's ``lmplz``.
        - "kneser_ney": interpolated Kneser-Ney, one discount an order [3]_.
        - "absolute_discount": the same with counts instead of the numbers of different words on the left [4]_.
        - "witten_bell": interpolated Witten-Bell [5]_.
        - "jelinek_mercer": relative frequencies of all orders, with weights estimated on every tenth sentence [6]_.
        - "katz": Good-Turing discounts and backing off [7]_.
        - "stupid_backoff": relative frequencies, times 0.4 for each shorter context [8]_. These are not probabilities:
          they do not sum to 1.
        - "add_k": relative frequencies after adding `k` to each count. After an unseen context all tokens are equally
          probable.
        - "laplace": "add_k" with 1.
        - "mle": relative frequencies. Unseen n-grams have probability 0, and so has every token after an unseen
          context: a perplexity can be infinite.
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
        The tokenizer, see `fastrnn.text.get_tokenizer`.
    lowercase : bool
        Whether texts are converted to lower case first.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None
        The normal form of Unicode that texts are converted to first, see `fastrnn.text.preprocess`.
    encoding : str
        The encoding of text files.
    min_count : int
        Tokens that appear less often than this in the training text become ``<unk>``.
    max_vocab : int or None
        The largest size of the vocabulary, four special tokens included; the most frequent tokens are kept.
    vocabulary : Vocabulary or None
        A fitted vocabulary that is used as it is, for models that share one; `min_count` and `max_vocab` do not apply.
    k : float
        The number above 0 that "add_k" adds.
    discount_fallback : bool
        Whether an order whose discounts cannot be estimated gets fixed ones (0.5, 1 and 1.5 with
        "modified_kneser_ney"), with a warning; otherwise that is an error. A small text has too few n-grams that appear
        once to four times. Characters always need it for unigrams: for those alone, a line in the log replaces the
        warning.
    prune : sequence of int or None
        For each order from 1, the largest count of n-grams that are left out: (0, 0, 1) leaves out n-grams of three and
        more tokens that appear once. The first is 0; the last one holds for all longer n-grams.
    prune_entropy : float
        Leaves out n-grams without which the perplexity rises by less than this share, 1e-8 for instance [9]_.
    vocab_pad : int
        Probabilities are estimated as if at least this many tokens could be predicted. If the vocabulary has fewer,
        their probabilities sum to less than 1.
    quantize : bool
        Whether values take 8 bits each instead of 32.
    memory_limit : int, str or None
        The bytes that a fit may use besides the vocabulary and the model: a number, or a string such as "500MB". Texts
        and counts go to temporary files (in the folder ``TMPDIR``). The model is the same to the bit. `X` can be larger
        than memory: an iterator or an open file, for instance.
    n_jobs : int or None
        The number of threads; None for all cores.
    verbose : int
        1 shows on stderr how much of the text is read. If stderr is not a terminal, lines are written through `logging`
        (the logger ``fastrnn``, level INFO).

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens. Other tokens of the training text count as the ordinary token ``<unk>``.
    n_ngrams_ : list of int
        The number of different n-grams of each order; ``<unk>``, ``<s>`` and ``</s>`` are unigrams.
    discounts_ : float64 array (order, n) or None
        The discounts of the counts 1, 2, ... of each order; the last one is that of all larger counts too. With "katz",
        the factors of the counts 1 to 5.
    weights_ : float64 array (order, 16) or None
        With "jelinek_mercer", the weights of each order, by the logarithm to base 2 of the count of the context.
    nbytes_ : int
        The bytes of the arrays in which probabilities are looked up. The training text is kept too, for `partial_fit`:
        4 bytes a token, in a temporary file if there is a `memory_limit`.

    References
    ----------
    .. [1] Stanley F. Chen and Joshua Goodman, "An empirical study of smoothing techniques for language modeling", 1998.
    .. [2] Kenneth Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013.
    .. [3] Reinhard Kneser and Hermann Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995.
    .. [4] Hermann Ney, Ute Essen and Reinhard Kneser, "On structuring probabilistic dependences in stochastic language
       modelling", 1994.
    .. [5] Ian H. Witten and Timothy C. Bell, "The zero-frequency problem", 1991.
    .. [6] Frederick Jelinek and Robert L. Mercer, "Interpolated estimation of Markov source parameters from sparse
       data", 1980.
    .. [7] Slava M. Katz, "Estimation of probabilities from sparse data for the language model component of a speech
       recognizer", 1987.
    .. [8] Thorsten Brants et al., "Large language models in machine translation", EMNLP 2007.
    .. [9] Andreas Stolcke, "Entropy-based pruning of backoff language models", 1998.

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
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        vocabulary=None,
        k=1.0,
        discount_fallback=True,
        prune=None,
        prune_entropy=0.0,
        vocab_pad=0,
        quantize=False,
        memory_limit=None,
        n_jobs=None,
        verbose=0,
    ):
        self.order = order
        self.smoothing = smoothing
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize
        self.encoding = encoding
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.vocabulary = vocabulary
        self.k = k
        self.discount_fallback = discount_fallback
        self.prune = prune
        self.prune_entropy = prune_entropy
        self.vocab_pad = vocab_pad
        self.quantize = quantize
        self.memory_limit = memory_limit
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn from a text; everything learned before is forgotten.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            A sentence, line or document each. A `pathlib.Path` means the lines of a text file or of all ``.txt`` files
            of a folder, an open file its lines. Files are read as they are needed.
        y : None
            Ignored.

        Returns
        -------
        self : NGramLanguageModel
        """
        return self._fit(X, Vocabulary(), np.empty(0, np.int32))

    def partial_fit(self, X, y=None):
        """Learn from a further text.

        The result is that of one `fit` to all texts together, the vocabulary included. It also takes as long as that:
        few large texts are better than many small ones.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            A sentence, line or document each, as in `fit`.
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
        """Learn from `text`, ids of the vocabulary `seen` that holds all its tokens, followed by the text X."""
        self._check_parameters()
        workspace = Workspace(parse_bytes("memory_limit", self.memory_limit), effective_n_jobs(self.n_jobs))
        seen = Vocabulary.from_tokens(seen.tokens)
        n_before = len(text)
        with Progress(f"{self.order}-gram language model", self.verbose, "tokens") as progress:
            new = self._encode_training_text(X, seen, workspace, progress)
            text = workspace.concatenate(itertools.chain([text], new), np.int32)
            if len(text) == n_before:
                raise ValueError("X is empty: a language model needs at least one sentence.")
            progress.describe("counting")
            vocabulary, ids = self._choose_vocabulary(seen, text, workspace)
            options = {name: getattr(self, name) for name in EstimationOptions._fields}
            options = EstimationOptions(**{**options, "prune": self.prune or (0,)})
            table, estimates = estimate_table(text, ids, len(vocabulary), options, workspace)
            progress.line(f"{len(text):,} tokens, {table.level_starts[-1] - 1:,} n-grams, {progress.seconds:.1f} s")

        self._seen, self._text = seen, text
        self._set_table(table)
        self.vocabulary_ = vocabulary
        self.discounts_, self.weights_ = estimates.discounts, estimates.weights
        return self

    def _encode_training_text(self, X, seen, workspace, progress):
        """Yield the ids of X with ``<s>`` and ``</s>``, int32 (n,), in batches; its tokens are added to `seen`."""
        is_first = len(seen) == len(SPECIAL_TOKENS)
        token_lists = iterate_corpus(X, **self._text_options(), learning=is_first)
        size = _TOKENS_AT_ONCE
        if workspace.memory_limit is not None:
            size = min(size, 1 + workspace.memory_limit // _BYTES_PER_TOKEN)
        for ids, offsets in seen.extend_encode_batches(batches(token_lists, size)):
            yield close_sentences(ids, offsets, start=True)[0]
            progress.count(len(ids))

    def _choose_vocabulary(self, seen, text, workspace):
        """Return the vocabulary of the model and its ids for the tokens of `seen`, int32 (n_seen,)."""
        if self.vocabulary is not None:
            vocabulary = Vocabulary.from_tokens(self.vocabulary.tokens)  # the given one may be fitted again
            return vocabulary, vocabulary.encode(seen.tokens)
        learned = learn_vocabulary(text, seen, self.min_count, self.max_vocab, workspace.release)
        return learned.vocabulary, learned.new_ids

    def _check_parameters(self):
        self._check_text_parameters()
        if not isinstance(self.order, numbers.Integral) or not 1 <= self.order <= MAX_ORDER:
            raise ValueError(f"order must be an integer from 1 to {MAX_ORDER}, got {shown(self.order)}.")
        check_choice("smoothing", self.smoothing, SMOOTHINGS)
        if not isinstance(self.k, numbers.Real) or not 0 < self.k < np.inf:
            raise ValueError(f"k must be a number above 0, got {shown(self.k)}.")
        if self.max_vocab is not None and (not isinstance(self.max_vocab, numbers.Integral) or self.max_vocab < 5):
            raise ValueError(f"max_vocab must be None or an integer of at least 5, got {shown(self.max_vocab)}.")
        if not isinstance(self.vocab_pad, numbers.Integral) or self.vocab_pad < 0:
            raise ValueError(f"vocab_pad must be an integer of at least 0, got {shown(self.vocab_pad)}.")
        self._check_pruning()

    def _check_pruning(self):
        prune = self.prune or (0,)
        are_counts = isinstance(prune, tuple | list) and all(isinstance(t, numbers.Integral) for t in prune)
        if not are_counts or prune[0] != 0 or list(prune) != sorted(prune) or len(prune) > self.order:
            raise ValueError(
                f"prune must be None or at most {self.order} integers, one an order, that begin with 0 and do not "
                f"descend, got {shown(self.prune)}."
            )
        check_not_negative("prune_entropy", self.prune_entropy)
        for name, asked in (("prune", any(prune)), ("prune_entropy", self.prune_entropy > 0)):
            if asked and not getattr(SMOOTHINGS[self.smoothing], name):
                raise ValueError(f"{name} is not defined for smoothing={self.smoothing!r}: leave it out.")

    @property
    def nbytes_(self):
        """The bytes of the arrays in which probabilities are looked up."""
        check_fitted(self, "vocabulary_")
        return self._table.nbytes

    def _set_table(self, table):
        self._table = table
        self._start_log_prob = 0.0  # the value of <s> in an ARPA file; it has no meaning
        self.n_ngrams_ = np.diff(table.level_starts).tolist()
        self.n_ngrams_[0] -= 1  # <pad>

    def _get_learned(self):
        content = {
            "discounts": None if self.discounts_ is None else self.discounts_.tolist(),
            "start_log_prob": self._start_log_prob,
            "weights": None if self.weights_ is None else self.weights_.tolist(),
            "seen_tokens": None if self._seen is None or self._seen == self.vocabulary_ else self._seen.tokens,
        }
        text = {} if self._text is None else {"text": self._text}
        return content, {**text, **self._table._asdict()}

    def _set_learned(self, content, arrays):
        self.discounts_ = None if content["discounts"] is None else np.array(content["discounts"])
        self.weights_ = None if content["weights"] is None else np.array(content["weights"])
        self._text = arrays.pop("text", None)
        tokens = content["seen_tokens"] or self.vocabulary_.tokens
        self._seen = None if self._text is None else Vocabulary.from_tokens(tokens)
        self._set_table(NGramTable(**arrays))
        self._start_log_prob = content["start_log_prob"]
