"""Predictions of estimators that write sequences: targets found by beam search, and drawn targets."""

import contextlib
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from fastrnn.kernels.sampling import make_choice
from fastrnn.language.base import BaseLanguageModel
from fastrnn.language.drawing import draw_sequences, numbered_uniforms
from fastrnn.language.fusion import together, with_language_model
from fastrnn.language.generation import check_choice_of_tokens
from fastrnn.language.hypotheses import MostProbable
from fastrnn.language.search import Candidate, Coverage, beam_search
from fastrnn.networks.decoder import DecoderState, PairBatch
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN, START_ID, UNK_ID
from fastrnn.translation.texts import read_texts
from fastrnn.utils.checks import check_count, check_fitted, check_not_negative, check_positive_integer, shown
from fastrnn.utils.use import GuardedMixin, Use

_MORE = 20  # tokens of a prediction than of the longest target of the training
_SOURCES = 256  # sources that are searched for at a time
_BLOCK = 1 << 22  # log probabilities of all tokens for all hypotheses at a time: 32 MB


class Hypothesis(NamedTuple):
    """A target that `beam_search` found.

    Attributes
    ----------
    text : str, list of str or list of int
        Of the kind of the targets of the training.
    log_prob : float
        The natural logarithm of its probability, the end included if it has ended. The log probability by a language
        model, times its weight, is added.
    score : float
        `log_prob` with the penalties of length and coverage. Hypotheses are compared by it.
    """

    text: object
    log_prob: float
    score: float


class _Constraints(NamedTuple):
    """What targets must have, as ids; see `language.hypotheses.Constraints`."""

    limits: np.ndarray
    min_length: int
    prefixes: list | None
    forbidden: list

    def of(self, rows):
        """Return the arguments of a search for some sources."""
        prefixes = None if self.prefixes is None else [self.prefixes[row] for row in rows]
        return {"max_length": self.limits[rows], "min_length": self.min_length, "prefixes": prefixes,
                "forbidden": self.forbidden}  # fmt: skip

    @property
    def of_tokens_alone(self):
        """Whether nothing is constrained but single tokens."""
        return not self.min_length and self.prefixes is None and not any(map(np.ndim, self.forbidden))


class SearchMixin(GuardedMixin):
    """Methods of a `SequenceWriter` that write targets."""

    def predict(self, X, *, beam_width=5, max_length=None, length_penalty=0.0, length_offset=0.0, coverage_penalty=0.0,
                min_length=0, prefix=None, forbidden=None, language_model=None, weight=0.3):  # fmt: skip
        """Return the most probable target of each source, as a beam search finds it.

        A prediction does not depend on the other sources. Their hypotheses are extended together, and a hypothesis is
        dropped as soon as it cannot win.

        Parameters
        ----------
        X : as in `fit`
        beam_width : int, default=5
            Number of hypotheses of each source; 1 is greedy search, the most probable token at each step.
        max_length : int or None, default=None
            Most tokens of a prediction. None takes the largest of L + 20, 2 · S + 10 and `min_length`, with L tokens of
            the longest target of the training and S tokens of the source.
        length_penalty, length_offset : float, default=0.0
            The score of a hypothesis of L tokens (the end counted) is its log probability, divided by
            ((`length_offset` + L) / (`length_offset` + 1)) to the power `length_penalty`. 1 and 0 compare means per
            token; Wu et al. (2016) took 0.2 and 5.
        coverage_penalty : float, default=0.0
            Factor of a term of the score of a finished hypothesis: the sum of log(min(a, 1)) over the vectors of the
            source, a being the sum of a vector's attention weights (Wu et al. 2016). It needs attention.
        min_length : int, default=0
            Fewest tokens of a prediction.
        prefix : list of str or list of list of (str or int), default=None
            The beginning of each target, cut by the tokenizer of targets.
        forbidden : list of str or list of list of (str or int), default=None
            Texts, or lists of tokens, that no prediction contains. A text is forbidden as the tokens into which the
            tokenizer cuts it; other tokens may spell it.
        language_model : language model, default=None
            Any language model whose tokens are those of the targets: its log probabilities, times `weight`, are added
            to those of the tokens (shallow fusion, Gülçehre et al. 2015).
        weight : float, default=0.3

        Returns
        -------
        list of str, list of list of str or list of list of int
            Of the kind of the targets of the training.

        Raises
        ------
        ValueError
            X cannot be read, or an option is out of its range.
        """
        X = self._read_once(X)
        sources = self._read(X)
        found = self._search(sources, beam_width=beam_width, max_length=max_length, length_penalty=length_penalty,
                             length_offset=length_offset, coverage_penalty=coverage_penalty, min_length=min_length,
                             prefix=prefix, forbidden=forbidden, language_model=language_model,
                             weight=weight)  # fmt: skip
        return self._target.decode(self._found_tokens(X, sources, found))

    def beam_search(self, X, n=None, *, beam_width=5, **options):
        """Return the most probable targets of each source, as `predict` finds them.

        Parameters
        ----------
        X : as in `fit`
        n : int or None, default=None
            Number of targets, at most `beam_width`; None is `beam_width`.
        beam_width, **options
            See `predict`.

        Returns
        -------
        list of (list of Hypothesis)
            For each source its targets with their log probabilities and scores, best first; fewer than `n` if no more
            were found.

        Raises
        ------
        ValueError
            As in `predict`, or `n` is larger than `beam_width`.
        """
        X = self._read_once(X)
        sources = self._read(X)
        n = beam_width if n is None else n
        return self._hypotheses(X, sources, candidates_of([self], [sources], None, n, beam_width, **options))

    def sample(self, X, n=1, *, temperature=1.0, top_k=None, top_p=None, max_length=None, min_length=0, prefix=None,
               forbidden=None, random_state=None):  # fmt: skip
        """Draw targets of each source, token after token.

        Parameters
        ----------
        X : as in `fit`
        n : int, default=1
            Number of targets of each source.
        temperature : float, default=1.0
            Probabilities are raised to the power 1 / temperature; 0 takes the most probable token.
        top_k, top_p : int, float or None, default=None
            Draw among the `top_k` most probable tokens, or among the fewest that together have the probability `top_p`.
        max_length, min_length, prefix, forbidden
            See `predict`.
        random_state : int, RandomState instance or None, default=None
            The drawn targets depend on it, and on the place of their source in X.

        Returns
        -------
        list of (list of target)
            The n targets of each source, of the kind of the targets of the training.

        Raises
        ------
        ValueError
            As in `predict`.
        """
        check_positive_integer("n", n)
        check_choice_of_tokens(temperature, top_k, top_p)
        X = self._read_once(X)
        sources, seed = self._read(X), int(check_random_state(random_state).randint(1 << 31))
        choice = make_choice(temperature, top_k, top_p, self._target.n_outputs)
        constraints = self._constraints(sources, max_length, min_length, prefix, forbidden)
        drawn = [[] for _ in range(len(sources))]
        for group in self._search_groups(sources, n):
            start, advance, take = self._decoder(sources, group)
            rows = np.repeat(group, n)
            state = take(start[1], np.repeat(np.arange(len(group)), n))
            uniforms = numbered_uniforms(seed, rows * n + np.tile(np.arange(n), len(group)),
                                         int(constraints.limits[group].max()))  # fmt: skip
            sequences = draw_sequences((np.repeat(start[0], n, axis=0), state), advance, take, end_id=END_ID,
                                       choice=choice, uniforms=uniforms, **constraints.of(rows))  # fmt: skip
            for row, sequence in zip(rows.tolist(), sequences, strict=True):
                drawn[row].append(sequence)
        return [[found.text for found in part] for part in self._hypotheses(X, sources, drawn)]

    def _search(self, sources, beam_width=5, **options):
        """Return the ids of the most probable target of each source, without the end."""
        found = candidates_of([self], [sources], None, 1, beam_width, **options)
        return [part[0].ids if part else [] for part in found]

    def _hypotheses(self, X, sources, candidates):
        """Return lists of `Hypothesis` for those of candidates."""
        result = [[] for _ in candidates]
        for rank in range(max(map(len, candidates), default=0)):
            chosen = [part[rank] if rank < len(part) else Candidate(0.0, 0.0, []) for part in candidates]
            texts = self._target.decode(self._found_tokens(X, sources, [candidate.ids for candidate in chosen]))
            for part, text, candidate, found in zip(result, texts, chosen, candidates, strict=True):
                if rank < len(found):
                    part.append(Hypothesis(text, candidate.log_prob, candidate.score))
        return result

    def _found_tokens(self, X, sources, found):
        """Return the tokens of predictions, lists of ids."""
        return list(map(self._target.vocabulary.decode, found))

    def _forbidden(self):
        """Return the tokens that are never written."""
        return list(NEVER_WRITTEN)

    def _search_groups(self, sources, width):
        """Return the rows of sources that are searched for together, by length."""
        size = max(1, min(_SOURCES, _BLOCK // (width * self._target.n_outputs)))
        return sources.groups(np.arange(len(sources)), size)

    def _decoder(self, sources, rows, listed=None):
        """Return the network after some sources as `fastrnn.language.search` takes it: start, advance, take.

        With `listed`, a pair of their number and bool (V,), only the most probable tokens are found.
        """
        network = self.network_

        def advance(state, tokens):
            log_probs, state = network.advance(state, tokens, listed)
            return log_probs if listed is None else MostProbable(*log_probs), state

        return advance(network.start(PairBatch(sources, rows)), np.full(len(rows), START_ID)), advance, network.take

    def _constraints(self, sources, max_length, min_length, prefix, forbidden):
        """Return the options of this name, checked, as `_Constraints`."""
        check_count("min_length", min_length)
        if max_length is None:
            most = max(self._target.longest + _MORE, min_length)
            limits = np.maximum(most, 2 * np.asarray(sources.lengths) + 10)
        else:
            check_positive_integer("max_length", max_length)
            limits = np.full(len(sources), max_length)
            if min_length > max_length:
                raise ValueError(f"min_length must be at most max_length={max_length}, got {min_length}.")
        prefixes = None if prefix is None else self._ids_of("prefix", prefix)
        if prefixes is not None and len(prefixes) != len(sources):
            raise ValueError(f"prefix must have a text for each of {len(sources)} sources, got {len(prefixes)} texts.")
        if prefixes and max_length is None:
            limits = np.maximum(limits, [len(ids) + _MORE for ids in prefixes])
        for place, ids in enumerate(prefixes or ()):
            if len(ids) > limits[place]:
                raise ValueError(
                    f"prefix must have at most max_length={limits[place]} tokens, got {len(ids)} in prefix[{place}]."
                )
        never = self._forbidden()
        for place, ids in enumerate([] if forbidden is None else self._ids_of("forbidden", forbidden)):
            if not ids:
                raise ValueError(f"forbidden must hold texts of at least one token, got {shown(forbidden[place])}.")
            if UNK_ID not in ids:  # the model cannot write a token that it does not know
                never.append(ids if len(ids) > 1 else ids[0])
        return _Constraints(limits, min_length, prefixes, never)

    def _ids_of(self, name, texts):
        """Return the ids of an option's texts, lists of int."""
        if not isinstance(texts, list | tuple):
            raise ValueError(f"{name} must be None or a list of texts or lists of tokens, got {shown(texts)}.")
        side = self._target.side
        texts, _ = read_texts(texts, self._target.options["encoding"], name)
        return [side.vocabulary.encode(tokens).tolist() for tokens in side.tokenize(texts, name)]


def candidates_of(
    writers, sources, weights, n, beam_width, *, max_length=None, length_penalty=0.0, length_offset=0.0,
    coverage_penalty=0.0, min_length=0, prefix=None, forbidden=None, language_model=None, weight=0.3,
):  # fmt: skip
    """Search with one estimator, or with several together; return the best `Candidate` of each source.

    Parameters
    ----------
    writers : list of SequenceWriter
        With the same targets.
    sources : list of sources
        Those of each, as it reads them.
    weights : list of float or None
        The weight of each; None with one.
    n, beam_width, max_length, length_penalty, ...
        See `SearchMixin.predict`.

    Returns
    -------
    list of (list of Candidate)
    """
    first, own = writers[0], sources[0]
    for name, value in (("beam_width", beam_width), ("n", n)):
        check_positive_integer(name, value)
    if n > beam_width:
        raise ValueError(f"n must be at most beam_width={beam_width}, got {shown(n)}.")
    for name, value in (("length_penalty", length_penalty), ("length_offset", length_offset),
                        ("coverage_penalty", coverage_penalty), ("weight", weight)):  # fmt: skip
        check_not_negative(name, value)
    if coverage_penalty and not first.network_.attends:
        raise ValueError(f"coverage_penalty must be 0 for a model without attention, got {coverage_penalty}.")
    if language_model is not None:
        if not isinstance(language_model, BaseLanguageModel):
            raise ValueError(f"language_model must be None or a language model, got {shown(language_model)}.")
        check_fitted(language_model, "vocabulary_")
    constraints = first._constraints(own, max_length, min_length, prefix, forbidden)
    listed = None
    if len(writers) == 1 and language_model is None and constraints.of_tokens_alone:
        allowed = np.ones(first._target.n_outputs, bool)
        allowed[constraints.forbidden] = False
        listed = 2 * beam_width, allowed
    found = [None] * len(own)
    groups = first._search_groups(own, beam_width) if listed is None else own.groups(np.arange(len(own)), _SOURCES)
    for rows in groups:
        decoders = [writer._decoder(read, rows, listed) for writer, read in zip(writers, sources, strict=True)]
        decoder = decoders[0] if len(decoders) == 1 else together(decoders, weights)
        coverage = None
        if coverage_penalty:
            coverage = Coverage(coverage_penalty, _attention, np.asarray(own.lengths)[rows])
        with _mixed(decoder, language_model, weight, first) as decoder:
            results = beam_search(
                *decoder, end_id=END_ID, beam_width=beam_width, n=n, length_penalty=length_penalty,
                length_offset=length_offset, coverage=coverage, greedy_first=not length_penalty,
                join=first.network_.join,
                **constraints.of(rows),
            )  # fmt: skip
        for row, result in zip(rows.tolist(), results, strict=True):
            found[row] = result
    return found


@contextlib.contextmanager
def _mixed(decoder, model, weight, writer):
    """Give a decoder with the language model mixed in, if there is one, which nobody may train meanwhile."""
    if model is None:
        yield decoder
        return
    with Use((), (model, *model._members()), f"{type(writer).__name__}.predict"), model._held_weights():
        yield with_language_model(decoder, model, weight, writer._target.vocabulary.tokens)


def _attention(state):
    """Return the attention (n, S) of the last step, from the state of a decoder that may be made of others."""
    while not isinstance(state, DecoderState):
        state = state[0]
    return state.weights
