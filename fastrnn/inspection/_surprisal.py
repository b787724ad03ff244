"""How surprising each token of a text is to a language model."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.inspection._coloured_text import draw_text, printable, separator
from fastrnn.inspection._display import Display
from fastrnn.language.base import BaseLanguageModel
from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNK_ID, close_sentences
from fastrnn.utils.checks import shown
from fastrnn.utils.html import coloured_text
from fastrnn.utils.use import reads


class Surprisal(NamedTuple):
    """Result of `surprisal`. A notebook shows it as the text, with darker backgrounds for more surprising tokens.

    Attributes
    ----------
    tokens : object array (T,) of str
        The tokens that the model read, and ``</s>``, the end.
    known : bool array (T,)
        Whether each is in the vocabulary; others are scored as ``<unk>``.
    bits : float64 array (T,)
        The surprisal of each token: the negative logarithm to base 2 of its probability after the tokens before it.
    ranks : int64 array (T,)
        The rank of each token among all tokens by their probability at its place: 1 is the most probable token. Equal
        probabilities have the same rank.
    """

    tokens: np.ndarray
    known: np.ndarray
    bits: np.ndarray
    ranks: np.ndarray

    def __str__(self):
        rows = zip(self.tokens, self.bits, self.ranks, self._marks(), strict=True)
        width = max(len("token"), *map(len, self.tokens))
        lines = [f"{printable(token):<{width}} {bits:6.2f} {rank:6d}{mark}" for token, bits, rank, mark in rows]
        return "\n".join([f"{'token':<{width}} {'bits':>6} {'rank':>6}", *lines])

    def _marks(self):
        return np.where(self.known, "", ", unknown word")

    def _shares(self):
        """Return the bits of each token as shares of the largest; 1 where they are infinite."""
        largest = self.bits[np.isfinite(self.bits)].max(initial=0) or 1.0
        return np.minimum(self.bits / largest, 1)

    def _title(self):
        return f"{len(self.bits)} tokens of {self.bits.mean():.2f} bits"

    def _repr_html_(self):
        tips = [f"{bits:.2f} bits, rank {rank}{mark}"
                for bits, rank, mark in zip(self.bits, self.ranks, self._marks(), strict=True)]  # fmt: skip
        shown_tokens = [printable(token) for token in self.tokens]
        return coloured_text(shown_tokens, -np.asarray(self._shares()), tips, self._title(), separator(self.tokens))

    def plot(self, ax=None, **kwargs):
        """Draw the text with a darker background for tokens that surprise more.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the height that the text needs.
        **kwargs
            Options of `SurprisalDisplay.plot`.

        Returns
        -------
        SurprisalDisplay
        """
        return SurprisalDisplay(self).plot(ax, **kwargs)


@reads
def surprisal(model, text):
    """Return how surprising each token of a text is to a language model.

    The text is scored on its own, whatever the model's `carry_state`.

    Parameters
    ----------
    model : language model
        A fitted model of any kind.
    text : str or list of str
        One sentence, line or document.

    Returns
    -------
    Surprisal

    Raises
    ------
    ValueError
        If `model` is not a language model, or `text` is not a text.

    References
    ----------
    John Hale, "A probabilistic Earley parser as a psycholinguistic model", 2001; Roger Levy, "Expectation-based
    syntactic comprehension", 2008.

    Examples
    --------
    >>> from fastrnn import NGramLanguageModel
    >>> from fastrnn.inspection import surprisal
    >>> model = NGramLanguageModel(2, smoothing="mle").fit(["a b", "a b", "a c", "b a"])
    >>> print(surprisal(model, "a c"))
    token   bits   rank
    a       0.42      1
    c       2.00      2
    </s>    0.00      1
    """
    if not isinstance(model, BaseLanguageModel):
        raise ValueError(f"model must be a language model, got {shown(model)}.")
    check_is_fitted(model)
    if not isinstance(text, str | list | tuple):
        raise ValueError(f"text must be a string or a list of tokens, got {shown(text)}.")
    tokens = model._tokens_of_prompt("text", text)
    ids, offsets = close_sentences(*model.vocabulary_.encode_corpus([tokens]))
    bits = abs(model._sentence_log_probs(ids, offsets)) / np.log(2)  # by rounding, a logarithm may be just above 0
    return Surprisal(np.array([*tokens, SPECIAL_TOKENS[END_ID]], object), ids != UNK_ID, bits, _ranks(model, ids))


def _ranks(model, ids):
    """Return the rank of each token of a closed sentence, int64 (T,)."""
    ranks, begin = np.empty(len(ids), np.int64), 0
    for probabilities in model._distributions(ids):
        end = begin + len(probabilities)
        probabilities[:, [PAD_ID, START_ID]] = 0  # these never come
        own = probabilities[np.arange(end - begin), ids[begin:end], np.newaxis]
        ranks[begin:end] = 1 + np.count_nonzero(probabilities > own, axis=1)
        begin = end
    return ranks


class SurprisalDisplay(Display):
    """Text with a darker background for tokens that surprise a language model more.

    Parameters
    ----------
    result : Surprisal
    name : str, default=""
        The model's name in the title.

    Attributes
    ----------
    boxes_ : list of matplotlib Rectangle
        The background of each token.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    @classmethod
    def from_estimator(cls, estimator, text, *, name=None, ax=None, **kwargs):
        """Score a text with a language model and draw it coloured.

        Parameters
        ----------
        estimator, text
            As in `surprisal`.
        name : str or None, default=None
            The model's name in the title; None takes its class's.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the height that the text needs.
        **kwargs
            Options of `plot`.

        Returns
        -------
        SurprisalDisplay
        """
        return cls(surprisal(estimator, text), type(estimator).__name__ if name is None else name).plot(ax, **kwargs)

    def plot(self, ax=None, *, width=80, cmap="OrRd"):
        """Draw the text.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of the height that the text needs.
        width : int, default=80
            Characters in a line.
        cmap : str or matplotlib Colormap, default="OrRd"
            Colours from 0 bits to the most of a token of the text.

        Returns
        -------
        SurprisalDisplay
        """
        return super().plot(ax, width=width, cmap=cmap)

    def _draw(self, ax, width, cmap):
        tokens, bits = self.result.tokens.tolist(), self.result.bits
        values = np.minimum(bits, bits[np.isfinite(bits)].max(initial=0))
        title = ", ".join(filter(None, [self.name, self.result._title()]))
        ax, self.boxes_ = draw_text(ax, tokens, values, title, width=width, cmap=cmap, lowest=0)
        return ax
