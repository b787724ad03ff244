"""Decoding with language models: the most probable texts, and completions of a typed text."""

import re
from typing import NamedTuple

from fastrnn.language.contexts import ContextMixin
from fastrnn.language.search import beam_search, complete, largest
from fastrnn.text.normalization import preprocess
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN
from fastrnn.utils.checks import check_fitted, check_not_negative, check_positive_integer, shown

_LONGEST_WORD = 24  # tokens of a word that is assembled from pieces
_WORD = re.compile(r"\w[\w'’\-]*")


class Hypothesis(NamedTuple):
    """A text that `beam_search` found.

    Attributes
    ----------
    text : str
    log_prob : float
        The natural logarithm of its probability after the prompt, that of ``</s>`` included if the text has ended.
    """

    text: str
    log_prob: float


class Completion(NamedTuple):
    """A word that `complete` or `fill` proposes.

    Attributes
    ----------
    word : str
    probability : float
        Its share among all words that begin like the typed one, or that fit into the blank.
    """

    word: str
    probability: float


class DecodingMixin(ContextMixin):
    """The methods of language models that search for texts and words."""

    def beam_search(
        self, prompt=None, beam_width=5, max_length=100, n=1, length_penalty=0.0, stop=None, state=None
    ):  # fmt: skip
        """Search for the most probable texts.

        Parameters
        ----------
        prompt : str, list of str or None
            The beginning of each text.
        beam_width : int
            Number of texts that are followed at a time; 1 is a greedy search.
        max_length : int
            The largest number of tokens that are added to the prompt.
        n : int
            Number of texts that are returned, at most `beam_width`.
        length_penalty : float
            Texts are compared by their log probability divided by the number of added tokens (``</s>`` counted) to
            this power. 0 compares probabilities, which prefers short texts; 1 compares means per token [1]_.
        stop : str, list of str or None
            As in `sample`.
        state : state or None
            As in `sample`.

        Returns
        -------
        list of Hypothesis
            Texts (with the prompt) and log probabilities, best first; fewer than `n` if no more were found. As in
            `sample`, ``<pad>``, ``<unk>`` and ``<s>`` are not written.

        References
        ----------
        .. [1] Yonghui Wu et al., "Google's neural machine translation system", 2016, section 7.

        Examples
        --------
        >>> from fastrnn import NGramLanguageModel
        >>> model = NGramLanguageModel(2, smoothing="mle").fit(["a b", "a c", "a b"])
        >>> [(text, round(log_prob, 3)) for text, log_prob in model.beam_search(n=2)]
        [('a b', -0.405), ('a c', -1.099)]
        """
        check_fitted(self, "vocabulary_")
        for name, value in (("beam_width", beam_width), ("max_length", max_length), ("n", n)):
            check_positive_integer(name, value)
        if n > beam_width:
            raise ValueError(f"n must be at most beam_width={beam_width}, got {shown(n)}.")
        check_not_negative("length_penalty", length_penalty)
        stops, prompt = self._stop_sequences(stop), self._tokens_of_prompt("prompt", prompt)
        (found,) = beam_search(
            *self._decoder(self._context(prompt, state)),
            end_id=END_ID,
            beam_width=beam_width,
            max_length=max_length,
            n=n,
            length_penalty=length_penalty,
            stops=stops,
            forbidden=NEVER_WRITTEN,
        )
        join = get_tokenizer(self.tokenizer).join
        return [Hypothesis(join(prompt + self.vocabulary_.decode(ids)), log_prob) for _, log_prob, ids in found]

    def _decoder(self, state):
        """Return the model after a state of n rows as `fastrnn.language.search` takes it: start, advance, take."""

        def advance(state, tokens):
            state = self._advance(state, tokens)
            return self._next_log_probs(state), state

        return (self._next_log_probs(state), state), advance, self._take

    def complete(self, prefix, n=5, state=None):
        """Propose words for a text that is being typed.

        Parameters
        ----------
        prefix : str
            The text typed so far. A word that it ends within (no space follows) is completed; otherwise the next word
            is proposed.
        n : int
            The largest number of proposals.
        state : state or None
            The model's state before the prefix, as in `sample`; None is the start of a sentence.

        Returns
        -------
        list of Completion
            Words and their probabilities, best first. They come from the vocabulary; a model of characters, bytes or
            subwords assembles words in a beam search.

        Examples
        --------
        >>> from fastrnn import NGramLanguageModel
        >>> model = NGramLanguageModel(2, smoothing="mle").fit(["the cat sat", "the car is here", "the cat sat"])
        >>> [(word, round(probability, 2)) for word, probability in model.complete("the ca")]
        [('cat', 0.67), ('car', 0.33)]
        >>> model.complete("the cat ", n=1)[0].word
        'sat'
        """
        check_fitted(self, "vocabulary_")
        check_positive_integer("n", n)
        if not isinstance(prefix, str):
            raise ValueError(f"prefix must be a string, got {shown(prefix)}.")
        prefix = preprocess(prefix, self.lowercase, self.normalize)
        tokenizer = get_tokenizer(self.tokenizer)
        if tokenizer.word_begun is None:
            return self._complete_from_pieces(prefix, n, state, tokenizer)
        place = tokenizer.word_begun(prefix)
        context = self._context(self._tokens_of_prompt("prefix", prefix[:place]), state)
        probabilities = self._next_probabilities(context)[0]
        fitting = self.vocabulary_.beginning_with(prefix[place:])
        chances = probabilities[fitting]
        best = largest(chances, n)
        best = best[chances[best] > 0]
        shares = chances[best] / (chances.sum() if place < len(prefix) else 1)
        words = self.vocabulary_.decode(fitting[best])
        return [Completion(*proposal) for proposal in zip(words, shares.tolist(), strict=True)]

    def _complete_from_pieces(self, prefix, n, state, tokenizer):
        """Complete words with a beam search of pieces; a word is complete once a piece adds more than a word."""
        begun = prefix[_start_of_last_word(prefix) :]
        spaced = tokenizer.spaces_lead and prefix[-1:].isspace()  # the next piece includes the space
        context = tokenizer.split(prefix.rstrip() if spaced else prefix)
        before = len(tokenizer.join(context)) - len(begun)
        state = self._context(self._tokens_of_prompt("prefix", context), state)

        def spell(_, ids):
            ended = ids[-1] == END_ID
            pieces = self.vocabulary_.decode(ids[:-1] if ended else ids)
            text = tokenizer.join(context + pieces)[before:].rstrip("\ufffd")  # half of a character, in bytes
            if spaced and text and not text[0].isspace():
                return None
            text = text if begun else text.lstrip()
            word = _WORD.match(text)
            if word:
                return word[0], ended or word.end() < len(text)
            return None if text or ended else ("", False)

        (words,) = complete(*self._decoder(state), spell, n=n, max_length=_LONGEST_WORD, forbidden=NEVER_WRITTEN)
        return [Completion(*proposal) for proposal in words]


def _start_of_last_word(text):
    """Return the start of the unfinished last word of a text; the length of the text if there is none."""
    *_, last = [None, *_WORD.finditer(text)]
    return last.start() if last and last.end() == len(text) else len(text)
