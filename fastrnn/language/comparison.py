"""Comparison of language models on one text: their costs, and how well they predict."""

import collections.abc
import dataclasses
import math
import pathlib
import time

from numba.core import event
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from fastrnn.utils.checks import shown, warn_caller
from fastrnn.utils.files import replaced_file
from fastrnn.utils.html import table
from fastrnn.utils.optional import optional_module
from fastrnn.utils.progress import Progress
from fastrnn.utils.tables import text_table


@dataclasses.dataclass(frozen=True)
class LanguageModelResult:
    """Measurements of one model by `compare_language_models`.

    Attributes
    ----------
    model : str
        The model's name.
    kind : {"ngram", "rnn", "other"}
        N-grams, a recurrent network, or another model: a cache, or one that wraps or mixes others.
    parameters : int
        N-grams of all orders, or parameters of the network; the sum for models that wrap or mix others.
    bytes : int
        Memory of the learned arrays.
    fit_seconds : float
        Wall time of ``fit``, without the compilation of kernels, which a machine does once: they are kept on disk.
    valid_perplexity, test_perplexity : float
        Perplexities of the texts; ``</s>`` counts, and tokens out of the vocabulary count as ``<unk>``.
    tokens_per_second : float
        Tokens of the test text scored per second, from text, without compilation.
    sample : str
        A text drawn from the model.
    """

    model: str
    kind: str
    parameters: int
    bytes: int
    fit_seconds: float
    valid_perplexity: float
    test_perplexity: float
    tokens_per_second: float
    sample: str


class LanguageModelComparison(list):
    """Result of `compare_language_models`: a list of `LanguageModelResult`, best first.

    Attributes
    ----------
    models : dict of str to language model
        The fitted models by name.
    """

    def __init__(self, results, models):
        super().__init__(results)
        self.models = models

    def _repr_html_(self):
        return table(_rows(self, False))


def compare_language_models(models, train, valid, test, *, sample_length=40, random_state=None, verbose=0):
    """Fit copies of language models to one text and measure them on another.

    Parameters
    ----------
    models : dict of str to language model
        Models by name: `NGramLanguageModel`, `RNNLanguageModel` and others. They stay as they are: their clones are
        fitted, as scikit-learn makes them. Perplexities can be compared only between models of the same tokens: give
        all of them one `vocabulary`.
    train, valid, test : list of str
        Sentences, lines or documents for training, for early stopping, and for the measurements.
    sample_length : int
        The largest number of tokens in a sample.
    random_state : int, RandomState instance or None
        Seed of the samples; the models have their own seeds.
    verbose : int
        1 shows a progress bar on stderr. If stderr is not a terminal, each model gets a line through `logging`.

    Returns
    -------
    LanguageModelComparison
        A list of `LanguageModelResult`, ordered by the perplexity of the test text. Its attribute ``models`` holds the
        fitted models by name.

    Raises
    ------
    ValueError
        If `models` is not a dict, or a text is a string; or as a model's ``fit`` does.

    Warns
    -----
    UserWarning
        If the vocabularies of the models differ.

    Examples
    --------
    >>> from fastrnn import NGramLanguageModel, compare_language_models
    >>> models = {f"{order}-gram": NGramLanguageModel(order=order, smoothing="add_k") for order in (1, 2)}
    >>> lines = ["the cat sat on the mat", "the dog sat on the cat"] * 10
    >>> results = compare_language_models(models, lines, lines, lines)
    >>> [result.model for result in results]
    ['2-gram', '1-gram']
    >>> results.models["2-gram"].predict(["the"]).tolist(), hasattr(models["2-gram"], "vocabulary_")
    (['cat'], False)
    """
    if not isinstance(models, collections.abc.Mapping):
        raise ValueError(f"models must be a dict of names and language models, got {shown(models)}.")
    texts = _repeatable({"train": train, "valid": valid, "test": test})
    models, results = {name: clone(model) for name, model in models.items()}, []
    with Progress("comparison", verbose, "models", len(models)) as progress:
        for name, model in models.items():
            progress.describe(name)
            results.append(result := _measure(name, model, texts, sample_length, random_state))
            progress.update()
            progress.line(f"{name}: perplexity {result.test_perplexity:.2f}, fitted in {result.fit_seconds:.1f} s")
    vocabularies = [model.vocabulary_ for model in models.values()]
    if any(vocabulary != vocabularies[0] for vocabulary in vocabularies):
        warn_caller("The models have different vocabularies, so their perplexities cannot be compared.")
    results.sort(key=lambda result: (math.isnan(result.test_perplexity), result.test_perplexity))
    return LanguageModelComparison(results, models)


def _repeatable(texts):
    """Return texts by name that can be read several times; raise ValueError about a string."""
    for name, text in texts.items():
        if isinstance(text, str):
            raise ValueError(f"{name} must be a list of strings, string object received: put it into a list.")
    return {name: list(text) if isinstance(text, collections.abc.Iterator) else text for name, text in texts.items()}


def _measure(name, model, texts, sample_length, random_state):
    """Fit one model and return its `LanguageModelResult`."""
    watched = {"X_val": texts["valid"]} if has_fit_parameter(model, "X_val") else {}
    _, fit_seconds = _timed(model.fit, texts["train"], **watched)
    valid_perplexity = model.perplexity(texts["valid"])
    test_perplexity, test_seconds = _timed(model.perplexity, texts["test"])
    kinds = {"n_ngrams_": "ngram", "n_parameters_": "rnn"}
    return LanguageModelResult(
        model=name,
        kind=next((kind for attribute, kind in kinds.items() if hasattr(model, attribute)), "other"),
        parameters=_count_parameters(model),
        bytes=int(model.nbytes_),
        fit_seconds=fit_seconds,
        valid_perplexity=float(valid_perplexity),
        test_perplexity=float(test_perplexity),
        tokens_per_second=test_perplexity.n_tokens / test_seconds,
        sample=model.sample(max_length=sample_length, random_state=random_state)[0],
    )


def _count_parameters(model):
    """Return the number of parameters of a model, or of the models that it wraps or mixes."""
    if hasattr(model, "n_ngrams_"):
        return int(sum(model.n_ngrams_))
    if hasattr(model, "n_parameters_"):
        return int(model.n_parameters_)
    return sum(map(_count_parameters, getattr(model, "models", [model.model] if hasattr(model, "model") else [])))


def _timed(function, *args, **kwargs):
    """Call `function`; return its result, and its wall time without the compilation of kernels in seconds."""
    with event.install_timer("numba:compile", lambda seconds: None) as compiling:
        start = time.perf_counter()
        result = function(*args, **kwargs)
        seconds = time.perf_counter() - start
    return result, seconds - (compiling.duration if compiling.done else 0.0)


def format_results(results, characters=False):
    """Lay out results as a table of plain text.

    Parameters
    ----------
    results : list of LanguageModelResult
        In the order of the rows.
    characters : bool
        Whether tokens are characters: adds bits per character, the binary logarithm of the perplexity.

    Returns
    -------
    str
        A line of headings, and a line for each model.

    Examples
    --------
    >>> from fastrnn.language.comparison import LanguageModelResult, format_results
    >>> print(format_results([LanguageModelResult("LSTM", "rnn", 51280, 205120, 12.25, 8.1, 8.0, 90000.0, "")]))
    model  n-grams or parameters  memory  fit seconds  valid perplexity  test perplexity  tokens/s
    LSTM                  51,280  205 kB        12.25              8.10             8.00    90,000
    """
    return text_table(_rows(results, characters))


def _rows(results, characters):
    """Return the cells of a table: headings, and a row for each model."""
    headings = ["model", "n-grams or parameters", "memory", "fit seconds", "valid perplexity", "test perplexity"]
    headings += ["valid bits/char", "test bits/char"] * characters + ["tokens/s"]
    rows = [headings]
    for result in results:
        perplexities = (result.valid_perplexity, result.test_perplexity)
        row = [result.model, f"{result.parameters:,}", _format_bytes(result.bytes), f"{result.fit_seconds:.2f}"]
        row += [f"{perplexity:,.2f}" for perplexity in perplexities]
        row += [f"{math.log2(perplexity):.3f}" for perplexity in perplexities if characters]
        rows.append([*row, f"{result.tokens_per_second:,.0f}"])
    return rows


def _format_bytes(n):
    for unit in ("B", "kB", "MB", "GB"):
        if n < 999.5 or unit == "GB":
            return f"{n:.3g} {unit}" if n < 999.5 else f"{n:,.0f} {unit}"
        n /= 1000


def plot_results(results, path, characters=False):
    """Draw perplexities against memory, into a file.

    Parameters
    ----------
    results : list of LanguageModelResult
    path : str or os.PathLike
        The picture, in the format of its suffix (``.png``, ``.svg``, ``.pdf``, …). It is replaced whole or not at all.
    characters : bool
        Whether tokens are characters: draws bits per character instead.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    library, ticker = (optional_module(f"matplotlib.{name}", "Plots need") for name in ("figure", "ticker"))
    figure = library.Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for result in results:
        height = math.log2(result.test_perplexity) if characters else result.test_perplexity
        marker = {"ngram": "s", "rnn": "o"}.get(result.kind, "^")
        axes.plot(result.bytes, height, marker, label=result.model, markersize=8, alpha=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda n, _: _format_bytes(n)))
    axes.set_xlabel("memory of the learned arrays")
    axes.set_ylabel("bits a character on the test text" if characters else "perplexity on the test text")
    axes.margins(0.1)
    axes.grid(alpha=0.3)
    legend = figure.legend(loc="outside right upper")  # beside the points: names beside each point would overlap
    for text in legend.get_texts():
        text.set_parse_math(False)  # "$" begins no formula
    with replaced_file(path) as temporary:
        figure.savefig(temporary, format=pathlib.Path(path).suffix[1:], dpi=150)
