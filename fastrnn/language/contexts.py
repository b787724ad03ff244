"""States of language models: reading a text and its continuation."""

import numpy as np

from fastrnn.text.tokenization import tokenize
from fastrnn.text.tokens import UNK_ID
from fastrnn.utils.checks import check_fitted, shown
from fastrnn.utils.use import GuardedMixin

# Distributions of the next token, a row of V numbers for each context, are made in blocks of about this many numbers:
# 32 MB.
_BLOCK = 1 << 22


class ContextMixin(GuardedMixin):
    """Reading of contexts, for language models: its abstract methods are in `BaseLanguageModel`."""

    def read(self, text, state=None):
        """Read a text, or the continuation of one.

        Parameters
        ----------
        text : str or list of str
            The beginning of a sentence, or the next part of it.
        state : state or None
            The model's state after the text before, from this method, `initial_state` or `advance`. None is the start
            of a sentence. It is not changed.

        Returns
        -------
        state
            The model's state after the text.

        Examples
        --------
        >>> from fastrnn import NGramLanguageModel
        >>> model = NGramLanguageModel(2, smoothing="add_k", k=0.01).fit(["a b c", "d b c"])
        >>> state = model.read("a")
        >>> model.sample(state=state, max_length=1, top_k=1)
        ['b']
        """
        check_fitted(self, "vocabulary_")
        return self._context(self._tokens_of_prompt("text", text), state)

    def _next_log_probs(self, state):
        """Return the natural log probabilities of the next token, a new float64 array (n, V), for n rows of a state."""
        with np.errstate(divide="ignore"):  # probability 0
            return np.log(self._next_probabilities(state))

    def _context(self, tokens, state):
        """Return the state of one row after a list of tokens; `state` is the one before, None at the start."""
        ids, offsets = self.vocabulary_.encode_corpus([tokens])
        if state is None:
            return self._read_contexts(ids, offsets)
        self._check_state(state)
        return self._read_on(self._take(state, np.zeros(1, np.intp)), ids)

    def _check_state(self, state):
        """Raise ValueError if the user's object is not a state of this model."""
        if not self._is_state(state):
            raise ValueError(
                f"state must be what read, initial_state or advance of this model returned, got {shown(state)}."
            )

    def _read_on(self, state, ids):
        """Return the state after further tokens, int32 (n_tokens,), for a state of one row."""
        for place in range(len(ids)):
            state = self._advance(state, ids[place : place + 1])
        return state

    def _tokens_of_prompt(self, name, prompt):
        """Return the tokens of a text that is given as a string or list."""
        if prompt is not None and not isinstance(prompt, str | list | tuple):
            raise ValueError(f"{name} must be None, a string or a list of tokens, got {shown(prompt)}.")
        return tokenize(prompt or [], self.tokenizer, self.lowercase, self.normalize, name)

    def _stop_sequences(self, stop):
        """Return the strings that end a text as lists of ids."""
        strings = [] if stop is None else [stop] if isinstance(stop, str) else stop
        if not isinstance(strings, list | tuple) or not all(isinstance(string, str) for string in strings):
            raise ValueError(f"stop must be None, a string or a list of strings, got {shown(stop)}.")
        sequences = [tokenize(string, self.tokenizer, self.lowercase, self.normalize, "stop") for string in strings]
        for string, tokens in zip(strings, sequences, strict=True):
            if not tokens:
                raise ValueError(f"stop must hold strings of at least one token, got {shown(string)}.")
        # Tokens out of the vocabulary are never drawn.
        return [ids for ids in (self.vocabulary_.encode(tokens).tolist() for tokens in sequences) if UNK_ID not in ids]

    def _row_blocks(self, n, most=_BLOCK):
        """Cut the rows 0 to n - 1 into blocks whose distributions fit into bounded memory."""
        size = max(1, min(_BLOCK // len(self.vocabulary_), most))
        return [np.arange(start, min(start + size, n)) for start in range(0, n, size)]
