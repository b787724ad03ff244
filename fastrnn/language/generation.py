"""Drawing of texts from language models, token after token."""

import contextlib
import numbers
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from fastrnn.kernels.sampling import Choice, make_choice
from fastrnn.language.contexts import ContextMixin
from fastrnn.language.drawing import draw_rows
from fastrnn.language.search import ends_with
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN
from fastrnn.utils.checks import check_fitted, check_not_negative, check_positive_integer, shown
from fastrnn.utils.use import Use

# Tokens that are drawn at once: at first (then twice as many each time), and at most. Some are lost when a text ends,
# but there is less to prepare. Fewer where a text may stop at any token, and where the caller waits for the tokens.
_DRAWN, _STOPPED, _STREAMED = (128, 1024), (2, 1024), (2, 64)
_DRAWS = 1 << 20  # random numbers that are drawn at once, for all texts


class Drawing(NamedTuple):
    """How texts are drawn."""

    max_length: int
    choice: Choice
    random_state: np.random.RandomState
    stops: list  # of lists of ids; a text ends after each


class GenerationMixin(ContextMixin):
    """The methods of language models that draw texts."""

    _tokens_at_once = 1  # number that `_draw_block` draws fastest

    def sample(
        self,
        n=1,
        max_length=100,
        temperature=1.0,
        top_k=None,
        top_p=None,
        prompt=None,
        random_state=None,
        stop=None,
        state=None,
    ):
        """Draw texts from the model, token after token.

        Parameters
        ----------
        n : int
            The number of texts.
        max_length : int
            The largest number of tokens of a text, without its prompt. A text also ends when ``</s>`` is drawn, or when
            no token that can be drawn has a probability.
        temperature : float
            Probabilities are raised to the power 1 / temperature: below 1, probable tokens become more probable. 0
            takes the most probable token (of equal ones the first), whatever `top_k`, `top_p` and `random_state` are.
        top_k : int or None
            Draw among the `top_k` most probable tokens only.
        top_p : float or None
            Draw among the fewest most probable tokens that together have at least this probability (nucleus sampling,
            Holtzman et al., 2020). `top_k` cuts first.
        prompt : str, list of str or None
            The beginning of each text.
        random_state : int, RandomState instance or None
            The seed of the draws.
        stop : str, list of str or None
            A text also ends after one of these strings, if it was drawn as the tokens that the tokenizer makes of it.
        state : state or None
            The model's state before the prompt, from `read`, `initial_state` or `advance`; None is the start of a
            sentence.

        Returns
        -------
        list of str
            The texts, each with its prompt. ``<pad>``, ``<unk>`` and ``<s>`` are never drawn.
        """
        check_fitted(self, "vocabulary_")
        check_positive_integer("n", n)
        drawing = self._drawing(max_length, temperature, top_k, top_p, random_state, stop)
        prompt = self._tokens_of_prompt("prompt", prompt)
        context = self._context(prompt, state)
        join = get_tokenizer(self.tokenizer).join
        at_once = _STOPPED if drawing.stops else _DRAWN
        texts = []
        with self._held_weights():
            for rows in self._row_blocks(n):
                start = self._take(context, np.zeros(len(rows), np.intp))
                drawn = [[] for _ in rows]
                for _ in self._draw(drawn, start, drawing, at_once):
                    pass
                texts += [join(prompt + self.vocabulary_.decode(ids)) for ids in drawn]
        return texts

    def stream(
        self,
        max_length=100,
        temperature=1.0,
        top_k=None,
        top_p=None,
        prompt=None,
        random_state=None,
        stop=None,
        state=None,
    ):
        """Draw a text from the model and yield its tokens as they come.

        Parameters
        ----------
        max_length, temperature, top_k, top_p, prompt, random_state, stop, state
            As in `sample`; the same seed gives the same tokens.

        Yields
        ------
        str
            The next token, without the prompt. Tokens are drawn a few at a time, twice as many each time.

        Examples
        --------
        >>> from fastrnn import NGramLanguageModel
        >>> model = NGramLanguageModel(3, smoothing="add_k", k=0.01, tokenizer="chars").fit(["hello"])
        >>> for letter in model.stream(top_k=1, prompt="h", stop="l"):
        ...     print(letter)
        e
        l
        """
        check_fitted(self, "vocabulary_")
        drawing = self._drawing(max_length, temperature, top_k, top_p, random_state, stop)
        context = self._context(self._tokens_of_prompt("prompt", prompt), state)

        def tokens():
            drawn, done = [[]], 0
            for _ in self._draw(drawn, context, drawing, _STREAMED):
                yield from self.vocabulary_.decode(drawn[0][done:])
                done = len(drawn[0])

        return tokens()  # a generator of its own: wrong arguments are refused at once

    def _drawing(self, max_length, temperature, top_k, top_p, random_state, stop):
        """Return the options of `sample` and `stream`, checked."""
        check_positive_integer("max_length", max_length)
        check_choice_of_tokens(temperature, top_k, top_p)
        choice = make_choice(temperature, top_k, top_p, len(self.vocabulary_))
        return Drawing(max_length, choice, check_random_state(random_state), self._stop_sequences(stop))

    def _draw(self, drawn, state, drawing, at_once):
        """Draw texts, and yield after each block of tokens.

        Parameters
        ----------
        drawn : list of (list of int)
            The ids of each text so far; extended.
        state : state of n rows
            One for each text.
        drawing : Drawing
        at_once : (int, int)
            How many tokens of a text the first block has, and the largest one.
        """
        max_length, choice, random_state, stops = drawing
        kept = open_texts = np.arange(len(drawn))
        size, most = at_once
        while max_length and open_texts.size:
            size = min(size, most, self._tokens_at_once, max(2, _DRAWS // len(open_texts) // 2 * 2))
            uniforms = random_state.random_sample((min(max_length, size), len(open_texts)))
            # Between two blocks another thread may train the model.
            with Use((), (self, *self._members()), f"{type(self).__name__}.stream"):
                if not self._is_state(self._take(state, np.zeros(1, np.intp))):
                    raise RuntimeError(f"{type(self).__name__} was fitted again while it wrote a text: start over.")
                block, state = self._draw_block(self._take(state, kept), uniforms, choice)
            goes_on = [
                _extend(drawn[text], ids, stops)
                for text, ids in zip(open_texts.tolist(), block.T.tolist(), strict=True)
            ]
            yield
            kept = np.flatnonzero(goes_on)
            open_texts = open_texts[kept]
            max_length -= len(block)
            size *= 2

    def _held_weights(self):
        """Return a context in which weights do not change: they are prepared once for all blocks."""
        return contextlib.nullcontext()

    def _draw_block(self, state, uniforms, choice):
        """Draw a token for each row, and advance, once for each line of `uniforms`.

        Parameters
        ----------
        state : state of n rows
        uniforms : float64 array (T, n)
            T is 1, or an even number up to `_tokens_at_once`; it may be odd if the returned state is not used.
        choice : Choice

        Returns
        -------
        ids : int32 array (T, n)
            ``</s>`` after the end of a text.
        state
        """
        (row,) = uniforms
        ids = choose_tokens(self._next_probabilities(state), choice, row)
        return ids[np.newaxis], self._advance(state, ids)


def check_choice_of_tokens(temperature, top_k, top_p):
    """Raise ValueError if an option of drawing tokens is wrong."""
    check_not_negative("temperature", temperature)
    if top_k is not None:
        check_positive_integer("top_k", top_k)
    if top_p is not None and (not isinstance(top_p, numbers.Real) or not 0 < top_p <= 1):
        raise ValueError(f"top_p must be a number above 0 and at most 1, got {shown(top_p)}.")


def choose_tokens(probabilities, choice, uniforms):
    """Draw one token a row.

    Parameters
    ----------
    probabilities : float64 array (n, V)
        The distribution of each row; overwritten.
    choice : Choice
    uniforms : float64 array (n,)
        Random numbers, from 0 to below 1.

    Returns
    -------
    int32 array (n,)
        The tokens: never ``<pad>``, ``<unk>`` or ``<s>``, and ``</s>`` where nothing else has a probability.
    """
    p = np.ascontiguousarray(probabilities)
    p[:, NEVER_WRITTEN] = 0
    return draw_rows(p, choice, uniforms, END_ID)


def _extend(text, ids, stops):
    """Extend a text by ids, up to its end; return whether it is still open."""
    goes_on = END_ID not in ids
    ids = ids if goes_on else ids[: ids.index(END_ID)]
    if not stops:
        text += ids
        return goes_on
    for token in ids:
        text.append(token)
        if ends_with(text, stops):
            return False
    return goes_on
