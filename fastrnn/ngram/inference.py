"""Probabilities of n-gram models, and their states: the nodes of the contexts of each text."""

import itertools

import numpy as np

from fastrnn.kernels.threads import effective_n_jobs, run, split
from fastrnn.ngram.queries import next_probabilities
from fastrnn.ngram.scoring import make_slots, score_texts
from fastrnn.text.tokens import END_ID, START_ID, close_sentences
from fastrnn.utils.use import GuardedMixin

_TOKENS_PER_THREAD = 10_000  # about 1 ms of work


class NGramInferenceMixin(GuardedMixin):
    """The methods of `NGramLanguageModel` that look up probabilities.

    A state is an int32 array (n, order - 1): for each text the nodes of its last token, of its last two tokens, and so
    on; -1 where the table has no such n-gram.
    """

    def _start_contexts(self, n, bos=True):
        contexts = np.full((n, self._table.order - 1), -1, np.int32)
        if bos:
            contexts[:, :1] = START_ID
        return contexts

    def _walk(self, ids, offsets, contexts):
        """Score texts.

        Parameters
        ----------
        ids : int32 array (n_tokens,)
        offsets : int64 array (n + 1,)
        contexts : int32 array (n, order - 1)
            The state before each text; overwritten by the state after it.

        Returns
        -------
        log_probs : float64 array (n_tokens,)
            Natural logarithms.
        orders : uint8 array (n_tokens,)
            The order of the n-gram that each probability is of.
        """
        log_probs, orders = np.empty(len(ids)), np.empty(len(ids), np.uint8)
        cuts = [0, len(offsets) - 1]
        if len(ids) > _TOKENS_PER_THREAD:  # each thread gets about as many tokens
            n_jobs = min(effective_n_jobs(self.n_jobs), 1 + len(ids) // _TOKENS_PER_THREAD)
            cuts[1:1] = np.searchsorted(offsets, np.arange(1, n_jobs) * len(ids) // n_jobs).tolist()
        calls = []
        for begin, end in itertools.pairwise(cuts):
            slots = make_slots(offsets[end] - offsets[begin], end - begin)
            calls.append((self._table, ids, offsets, begin, end, contexts, slots, log_probs, orders))
        run(score_texts, calls)
        return log_probs, orders

    def _token_log_probs(self, ids, offsets):
        return self._sentence_log_probs(ids, offsets)

    def _sentence_log_probs(self, ids, offsets, bos=True):
        return self._walk(ids, offsets, self._start_contexts(len(offsets) - 1, bos))[0]

    def _read_contexts(self, ids, offsets):
        contexts = self._start_contexts(len(offsets) - 1)
        self._walk(ids, offsets, contexts)
        return contexts

    def _next_probabilities(self, state):
        V = len(self.vocabulary_)
        probabilities = np.empty((len(state), V))
        unigrams = 10.0 ** self._table.unigram_log_probs()
        n_jobs = min(effective_n_jobs(self.n_jobs), 1 + probabilities.size // _TOKENS_PER_THREAD)
        calls = [
            (self._table, state, *piece, unigrams, np.empty(V, np.int32), probabilities)
            for piece in split(len(state), n_jobs)
        ]
        run(next_probabilities, calls)
        return probabilities

    def _step(self, state, ids):
        contexts = state.copy()
        return self._walk(ids, np.arange(len(ids) + 1), contexts)[0], contexts

    def _continuation_log_probs(self, state, ids):
        n, T = ids.shape
        return self._walk(ids.reshape(-1), T * np.arange(n + 1), state.copy())[0].reshape(n, T)

    def _advance(self, state, ids):
        return self._step(state, ids)[1]

    def matched_order(self, X, *, bos=True, eos=True):
        """Return the order of the n-gram that the probability of each token is based on.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            A sentence, line or document each, as in `fit`.
        bos, eos : bool
            As in `score_samples`.

        Returns
        -------
        list of uint8 array (n_tokens + 1,)
            For each sentence the order of the longest n-gram of the model that ends in each token and in ``</s>``.
        """
        ids, offsets = close_sentences(*self._encode(X))
        orders = self._walk(ids, offsets, self._start_contexts(len(offsets) - 1, bos))[1]
        if not eos:
            orders, offsets = orders[ids != END_ID], offsets - np.arange(len(offsets))
        return np.split(orders, offsets[1:-1]) if len(offsets) > 1 else []

    def _is_state(self, state):
        if not isinstance(state, np.ndarray) or state.dtype != np.int32 or state.shape != (1, self._table.order - 1):
            return False
        starts, (nodes,) = self._table.level_starts[:-1], state  # the node of the last k words is one of order k
        return bool(((nodes == -1) | ((starts[:-1] <= nodes) & (nodes < starts[1:]))).all())

    def _take(self, state, rows):
        return state[rows]
