"""Words for a blank in a text: those with which the sentence is most probable."""

import numpy as np

from fastrnn.language.contexts import ContextMixin
from fastrnn.language.decoding import Completion
from fastrnn.language.search import largest
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, SPECIAL_TOKENS
from fastrnn.utils.checks import check_fitted, check_positive_integer, shown

_ROWS = 256  # most candidates at a time: a state may be large


class Fillings(list):
    """Result of `fill`: the words that fit best, best first, a list of `Completion`.

    Attributes
    ----------
    exact : bool
        Whether all words of the vocabulary were compared. Otherwise only the most probable ones after the left side of
        the text were, and the probabilities are shares among these.
    n_candidates : int
        The number of words that were compared.
    """

    def __init__(self, words=(), exact=True, n_candidates=0):
        super().__init__(words)
        self.exact = exact
        self.n_candidates = n_candidates


class FillingMixin(ContextMixin):
    """The method of language models that fills blanks."""

    def fill(self, text, n=5, blank="___", candidates=20_000, state=None):
        """Find the words that fit best into a blank.

        A word is judged by the probability of the whole sentence with it. The left side of the text is read once; the
        right side is scored after some hundred candidates at a time, which bounds memory.

        Parameters
        ----------
        text : str or list of str
            A sentence with a blank. In a list of tokens the blank replaces one token, which may also be a character or
            subword.
        n : int
            The largest number of words that are returned.
        blank : str
            The sign of the blank.
        candidates : int
            The largest number of words that are compared. If the vocabulary has more, the most probable ones after the
            left side are compared, and the result is not exact.
        state : state or None
            The model's state before the text, as in `sample`; None is the start of a sentence.

        Returns
        -------
        Fillings
            A list of `Completion`, best first: words of the vocabulary, and their shares in the sum of the sentence's
            probabilities with all candidates. Words that make the sentence impossible are left out.

        Raises
        ------
        ValueError
            If the text does not hold the blank exactly once, in the place of a token.

        Examples
        --------
        >>> from fastrnn import NGramLanguageModel
        >>> lines = ["the cat sleeps", "the cat sleeps", "the dog barks", "a dog sleeps"]
        >>> model = NGramLanguageModel(2, smoothing="mle").fit(lines)
        >>> [(word, round(probability, 2)) for word, probability in model.fill("the ___ sleeps")]
        [('cat', 0.8), ('dog', 0.2)]
        >>> model.fill("the ___ barks").exact
        True
        """
        check_fitted(self, "vocabulary_")
        check_positive_integer("n", n)
        check_positive_integer("candidates", candidates)
        left, right = self._sides_of_blank(text, blank)
        context = self._context(left, state)
        scores = self._next_log_probs(context)[0]
        words = np.arange(len(SPECIAL_TOKENS), len(scores))
        exact = len(words) <= candidates
        if not exact:
            words = np.sort(words[largest(scores[words], candidates)])
        possible = words[scores[words] > -np.inf]
        following = np.append(self.vocabulary_.encode_corpus([right])[0], np.int32(END_ID))
        scores = scores[possible] + self._scores_after(context, possible.astype(np.int32), following)
        shares = np.exp(scores - scores.max(initial=-np.finfo(float).max))
        best = largest(shares, n)
        best = best[shares[best] > 0]
        found = zip(self.vocabulary_.decode(possible[best]), (shares[best] / shares.sum()).tolist(), strict=True)
        return Fillings([Completion(*pair) for pair in found], exact, len(words))

    def _scores_after(self, context, words, following):
        """Return the log probabilities (n_words,) of the ids `following`, after a context of one row and each word."""
        scores = np.empty(len(words))
        for rows in self._row_blocks(len(words), _ROWS):
            state = self._advance(self._take(context, np.zeros(len(rows), np.intp)), words[rows])
            ids = np.broadcast_to(following, (len(rows), len(following)))
            scores[rows] = self._continuation_log_probs(state, ids).sum(axis=1)
        return scores

    def _sides_of_blank(self, text, blank):
        """Return the tokens on the left and on the right of the blank."""
        if not isinstance(blank, str) or not blank or blank.isspace():
            raise ValueError(f"blank must be a string that marks the missing word, got {shown(blank)}.")
        if not isinstance(text, str | list | tuple):
            raise ValueError(f"text must be a string or a list of tokens, got {shown(text)}.")
        count = text.count(blank)
        if count != 1:
            token = "" if isinstance(text, str) else " as a token"
            raise ValueError(f"text must hold the blank {blank!r} once{token}, got it {count} times.")
        place = text.index(blank)
        if not isinstance(text, str):
            return [self._tokens_of_prompt("text", part) for part in (text[:place], text[place + 1 :])]
        if get_tokenizer(self.tokenizer).word_begun is None:
            raise ValueError(
                f"text must be a list of tokens for a model of pieces of words, tokenizer={shown(self.tokenizer)}: its "
                "tokens are no words, and the blank replaces one of them."
            )
        before, after = text[:place], text[place + len(blank) :]
        left, right = (self._tokens_of_prompt("text", part) for part in (before, after))
        whole = self._tokens_of_prompt("text", f"{before}x{after}")
        if (whole[: len(left)], whole[len(left) + 1 :]) != (left, right) or len(whole) != len(left) + 1 + len(right):
            raise ValueError(f"text must hold the blank {blank!r} as a word of its own: put spaces around it.")
        return left, right
