"""Writing with language models: texts drawn or searched for token after token, and completions of what is typed."""

import contextlib
import numbers
import re
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from fastrnn.kernels.sampling import draw_tokens, make_choice
from fastrnn.text.normalization import preprocess
from fastrnn.text.tokenization import tokenize
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, PAD_ID, START_ID, UNK_ID
from fastrnn.utils.checks import check_fitted, check_not_negative, check_positive_integer, shown
from fastrnn.utils.use import GuardedMixin, Use

# Rows of (contexts, vocabulary) probabilities are made in blocks of about this many values (32 MB).
_BLOCK = 1 << 22
_NEVER = [PAD_ID, UNK_ID, START_ID]  # what is never written
# Tokens that are drawn at once at first (then twice as many each time) and at most: usually, where a text may stop at
# any of them, and where somebody waits for them. Some are lost when a text ends, but there is less to prepare.
_DRAWN, _STOPPED, _STREAMED = (128, 1024), (2, 1024), (2, 64)
_DRAWS = 1 << 20  # that are made at once, of all texts
_LONGEST_WORD = 24  # tokens of a word that is put together from pieces
_WORD = re.compile(r"\w[\w'’\-]*")


class Hypothesis(NamedTuple):
    """A text that `beam_search` found.

    Attributes
    ----------
    text : str
    log_prob : float
        The natural logarithm of its probability after the prompt, with that of ``</s>`` if it ends there.
    """

    text: str
    log_prob: float


class Completion(NamedTuple):
    """A word that `complete` or `fill` proposes.

    Attributes
    ----------
    word : str
    probability : float
        Among all words that begin as what is typed, or that may stand in the blank.
    """

    word: str
    probability: float


class GenerationMixin(GuardedMixin):
    """The methods of language models that write text. What they need of a model stands in `BaseLanguageModel`."""

    _tokens_at_once = 1  # that `_draw_block` draws best

    def read(self, text, state=None):
        """Read a text, or go on reading.

        Parameters
        ----------
        text : str or list of str
            The beginning of a sentence, or what comes next in it.
        state : state or None
            What the model remembers of the text before: from this method, `initial_state` or `advance`. None is the
            start of a sentence. It is not changed.

        Returns
        -------
        state
            What the model remembers then.

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
            The largest number of tokens that are drawn for a text. It ends before that when ``</s>`` is drawn (or when
            the model gives no token that can be drawn a probability).
        temperature : float
            Probabilities are raised to the power 1 / temperature: below 1 the probable tokens become more so. 0 is the
            limit: the most probable token is taken (of equal ones the first), whatever `top_k`, `top_p` and
            `random_state` are.
        top_k : int or None
            Draw among the `top_k` most probable tokens only.
        top_p : float or None
            Draw among the most probable tokens only, as few as make up this probability together (nucleus sampling,
            Holtzman et al., 2020). Of both, `top_k` cuts first.
        prompt : str, list of str or None
            The beginning of each text.
        random_state : int, RandomState instance or None
            The seed of the draws.
        stop : str, list of str or None
            A text also ends behind one of these, once it was drawn as the tokens into which the tokenizer cuts it.
        state : state or None
            What the model remembers before the prompt, from `read`, `initial_state` or `advance`; None is the start of
            a sentence.

        Returns
        -------
        list of str
            The texts, each with its prompt. ``<pad>``, ``<unk>`` and ``<s>`` are never drawn.
        """
        check_fitted(self, "vocabulary_")
        check_positive_integer("n", n)
        check_positive_integer("max_length", max_length)
        choice = self._check_choice(temperature, top_k, top_p)
        random_state, stops = check_random_state(random_state), self._stop_sequences(stop)
        prompt = self._tokens_of_prompt("prompt", prompt)
        context = self._context(prompt, state)
        join = get_tokenizer(self.tokenizer).join
        at_once = _STOPPED if stops else _DRAWN
        texts = []
        with self._held_weights():
            for rows in self._row_blocks(n):
                start = self._take(context, np.zeros(len(rows), np.intp))
                drawn = [[] for _ in rows]
                for _ in self._draw(drawn, start, max_length, choice, random_state, stops, at_once):
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
        check_positive_integer("max_length", max_length)
        choice = self._check_choice(temperature, top_k, top_p)
        random_state, stops = check_random_state(random_state), self._stop_sequences(stop)
        context = self._context(self._tokens_of_prompt("prompt", prompt), state)

        def tokens():
            drawn, done = [[]], 0
            for _ in self._draw(drawn, context, max_length, choice, random_state, stops, _STREAMED):
                yield from self.vocabulary_.decode(drawn[0][done:])
                done = len(drawn[0])

        return tokens()  # so that wrong arguments are refused at once

    def _draw(self, drawn, state, max_length, choice, random_state, stops, at_once):
        """Extend the lists `drawn` of ids, one a text and row of the state, and yield after each block of tokens."""
        open_texts, (size, most) = np.arange(len(drawn)), at_once
        while max_length and open_texts.size:
            size = min(size, most, self._tokens_at_once, max(2, _DRAWS // len(open_texts) // 2 * 2))
            uniforms = random_state.random_sample((min(max_length, size), len(open_texts)))
            with Use((), (self, *self._members()), f"{type(self).__name__}.stream"):  # between blocks others may train
                if not self._is_state(self._take(state, np.zeros(1, np.intp))):
                    raise RuntimeError(f"{type(self).__name__} was fitted anew while it wrote a text: start over.")
                block, state = self._draw_block(state, uniforms, choice)
            goes_on = [
                _extend(drawn[text], ids, stops)
                for text, ids in zip(open_texts.tolist(), block.T.tolist(), strict=True)
            ]
            yield
            open_texts, state = open_texts[goes_on], self._take(state, np.flatnonzero(goes_on))
            max_length -= len(block)
            size *= 2

    def _held_weights(self):
        """Return a context in which weights do not change, so that they may be prepared once for all blocks."""
        return contextlib.nullcontext()

    def _draw_block(self, state, uniforms, choice):
        """Draw a token a row for each line of `uniforms`, and advance.

        Parameters
        ----------
        state : state of n rows
        uniforms : float64 array (T, n)
            T is 1, or an even number up to `_tokens_at_once` (or any, if the state is not used).
        choice : Choice

        Returns
        -------
        ids : int32 array (T, n)
            Behind the end of a text ``</s>``.
        state
        """
        (row,) = uniforms
        ids = choose_tokens(self._next_probabilities(state), choice, row)
        return ids[np.newaxis], self._advance(state, ids)

    def beam_search(
        self, prompt=None, beam_width=5, max_length=100, n=1, length_penalty=0.0, stop=None, state=None
    ):  # fmt: skip
        """Search for the most probable texts.

        Parameters
        ----------
        prompt : str, list of str or None
            The beginning of each text.
        beam_width : int
            How many texts are followed at a time. 1 is a greedy search.
        max_length : int
            The largest number of tokens that are added to the prompt.
        n : int
            How many texts are returned, at most `beam_width`.
        length_penalty : float
            Texts are compared by their log probability divided by the number of tokens that were added (``</s>``
            counted) to this power: 0 compares probabilities, which prefers short texts, 1 those of a token [1]_.
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
        found = self._search(self._context(prompt, state), beam_width, max_length, n, length_penalty, stops)
        join = get_tokenizer(self.tokenizer).join
        return [Hypothesis(join(prompt + self.vocabulary_.decode(ids)), log_prob) for _, log_prob, ids in found[:n]]

    def _search(self, state, beam_width, max_length, n, length_penalty, stops):
        """Return what a beam search finds: (rank, log probability, ids without ``</s>``), best first."""
        beam, scores, found = [[]], np.zeros(1), []
        for length in range(1, max_length + 1):
            rows, tokens, scores = self._extensions(state, scores, 2 * beam_width)
            texts = [[*beam[row], token] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)]
            ended = np.array([text[-1] == END_ID or _is_stopped(text, stops) for text in texts], bool)
            for place in np.flatnonzero(ended[:beam_width]):
                text = texts[place]
                ids = text[:-1] if text[-1] == END_ID else text
                found.append((scores[place] / length**length_penalty, float(scores[place]), ids))
            found.sort(key=lambda entry: -entry[0])
            kept = np.flatnonzero(~ended)[:beam_width]
            beam, scores = [texts[place] for place in kept], scores[kept]
            # No text of the beam can become more probable than it is, or longer than `max_length`.
            if not beam or (len(found) >= n and found[n - 1][0] >= scores[0] / max_length**length_penalty):
                return found
            state = self._advance(self._take(state, rows[kept]), tokens[kept])
        found += [(score / length**length_penalty, float(score), ids) for score, ids in zip(scores, beam, strict=True)]
        return sorted(found, key=lambda entry: -entry[0])

    def _extensions(self, state, scores, count):
        """Return the most probable texts of one token more: rows (m,), int32 tokens (m,), log probabilities (m,)."""
        with np.errstate(divide="ignore"):  # probability 0
            totals = np.log(self._next_probabilities(state))
        totals[:, _NEVER] = -np.inf
        totals += scores[:, np.newaxis]
        best = largest(totals.reshape(-1), count)
        best = best[totals.reshape(-1)[best] > -np.inf]
        rows, tokens = np.divmod(best, totals.shape[1])
        return rows, tokens.astype(np.int32), totals.reshape(-1)[best]

    def complete(self, prefix, n=5, state=None):
        """Propose words for a text that is being typed.

        Parameters
        ----------
        prefix : str
            What is typed so far. Where it ends within a word (no space behind it), that word is completed; otherwise
            the next one is proposed.
        n : int
            The largest number of proposals.
        state : state or None
            What the model remembers before the prefix; None is the start of a sentence.

        Returns
        -------
        list of Completion
            Words and their probabilities, best first. They come from the vocabulary; a model of characters, bytes or
            subwords puts words together, with a beam search.

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
        """Complete words by a beam search of pieces: a word has ended where a piece makes more than a word of it."""
        begun = prefix[_word_begun(prefix) :]
        spaced = tokenizer.spaces_lead and prefix[-1:].isspace()  # the next piece brings the space with it
        context = tokenizer.split(prefix.rstrip() if spaced else prefix)
        before = len(tokenizer.join(context)) - len(begun)
        state = self._context(self._tokens_of_prompt("prefix", context), state)
        beam, scores, chances = [[]], np.zeros(1), {}
        for _ in range(_LONGEST_WORD):
            rows, tokens, scores = self._extensions(state, scores, 8 * n)
            kept, texts = [], []
            for place, (row, token) in enumerate(zip(rows.tolist(), tokens.tolist(), strict=True)):
                pieces = [*beam[row], *self.vocabulary_.decode([token])] if token != END_ID else beam[row]
                text = tokenizer.join(context + pieces)[before:].rstrip("\ufffd")  # half of a character, in bytes
                if spaced and text and not text[0].isspace():
                    continue
                text = text if begun else text.lstrip()
                word = _WORD.match(text)
                if word and (word.end() < len(text) or token == END_ID):
                    chances[word[0]] = chances.get(word[0], 0) + float(np.exp(scores[place]))
                elif (word or not text) and token != END_ID and len(kept) < 2 * n:
                    kept.append(place)
                    texts.append(pieces)
            beam, scores = texts, scores[kept]
            worst = sorted(chances.values(), reverse=True)[n - 1 : n]
            if not kept or (worst and worst[0] >= np.exp(scores[0])):
                break
            state = self._advance(self._take(state, rows[kept]), tokens[kept])
        best = sorted(chances.items(), key=lambda entry: -entry[1])[:n]
        return [Completion(word, chance) for word, chance in best]

    def _context(self, tokens, state):
        """Return the state, of one row, after a list of tokens."""
        ids, offsets = self.vocabulary_.encode_corpus([tokens])
        if state is None:
            return self._read_contexts(ids, offsets)
        self._check_state(state)
        return self._read_on(state, ids)

    def _check_state(self, state):
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
        """Return the ids of each of the strings at which a text ends, as lists."""
        strings = [] if stop is None else [stop] if isinstance(stop, str) else stop
        if not isinstance(strings, list | tuple) or not all(isinstance(string, str) for string in strings):
            raise ValueError(f"stop must be None, a string or a list of strings, got {shown(stop)}.")
        sequences = [tokenize(string, self.tokenizer, self.lowercase, self.normalize, "stop") for string in strings]
        for string, tokens in zip(strings, sequences, strict=True):
            if not tokens:
                raise ValueError(f"stop must hold strings of at least one token, got {shown(string)}.")
        # What is not in the vocabulary is never drawn.
        return [ids for ids in (self.vocabulary_.encode(tokens).tolist() for tokens in sequences) if UNK_ID not in ids]

    def _check_choice(self, temperature, top_k, top_p):
        check_not_negative("temperature", temperature)
        if top_k is not None:
            check_positive_integer("top_k", top_k)
        if top_p is not None and (not isinstance(top_p, numbers.Real) or not 0 < top_p <= 1):
            raise ValueError(f"top_p must be a number above 0 and at most 1, got {shown(top_p)}.")
        return make_choice(temperature, top_k, top_p, len(self.vocabulary_))

    def _row_blocks(self, n, most=_BLOCK):
        """Cut the rows 0 to n - 1 into blocks whose probabilities over the vocabulary fit into bounded memory."""
        size = max(1, min(_BLOCK // len(self.vocabulary_), most))
        return [np.arange(start, min(start + size, n)) for start in range(0, n, size)]


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
    p[:, _NEVER] = 0
    if choice.temperature != 1:
        p /= np.maximum(p.max(axis=1, keepdims=True), np.finfo(p.dtype).tiny)  # the largest stays 1 at any temperature
        np.power(p, 1 / choice.temperature, out=p)
    drawn = np.empty(len(p), np.int32)
    draw_tokens(drawn, p, choice.top_k, choice.top_p, uniforms, END_ID)
    return drawn


def _extend(text, ids, stops):
    """Add ids to those of a text, up to its end; return whether it goes on."""
    goes_on = END_ID not in ids
    ids = ids if goes_on else ids[: ids.index(END_ID)]
    if not stops:
        text += ids
        return goes_on
    for token in ids:
        text.append(token)
        if _is_stopped(text, stops):
            return False
    return goes_on


def _is_stopped(text, stops):
    return any(text[-len(stop) :] == stop for stop in stops)


def largest(values, count):
    """Return the indices of the largest values, largest first; of equal ones the first ones first."""
    if count < len(values):
        smallest = np.partition(values, len(values) - count)[len(values) - count]
        candidates = np.flatnonzero(values >= smallest)
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]


def _word_begun(text):
    """Return where the word begins in whose midst a text ends, or its length."""
    *_, last = [None, *_WORD.finditer(text)]
    return last.start() if last and last.end() == len(text) else len(text)
