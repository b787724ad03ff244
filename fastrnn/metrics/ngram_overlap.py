"""BLEU and chrF of translations: n-grams that they share with references, counted by sacrebleu."""

import numpy as np

from fastrnn.metrics.sequences import check_references, is_text
from fastrnn.utils.optional import optional_module


def bleu(y_true, y_pred, *, tokenize=None, lowercase=False):
    """Return BLEU of all translations together, from 0 to 100 (Papineni et al. 2002), as sacrebleu defines it.

    It is the geometric mean of the shares of 1-grams to 4-grams that occur in a reference, times a penalty for
    translations that are too short.

    Parameters
    ----------
    y_true : list of str, or list of sequences of tokens
        The references. A translation may have several, a list of them.
    y_pred : list of str, or list of sequences of tokens
        The translations, as many as in `y_true`.
    tokenize : str or None, default=None
        The tokenizer of sacrebleu: "13a", "intl", "zh", "char", "none" and others. None takes "13a" for texts. Lists of
        tokens are compared as they are.
    lowercase : bool, default=False
        Whether upper and lower case are the same.

    Returns
    -------
    float
        NaN if there are no translations.

    Raises
    ------
    ImportError
        sacrebleu is not installed.
    ValueError
        The numbers of sequences differ, texts stand beside lists of tokens, or `tokenize` is given for lists of tokens.

    References
    ----------
    Kishore Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002. Matt Post, "A call
    for clarity in reporting BLEU scores", 2018.

    Examples
    --------
    >>> round(bleu(["the cat sat on the mat ."], ["the cat sat on a mat ."]), 2)
    48.89
    """
    metrics = _library("BLEU")
    references, y_pred = check_references(y_true, y_pred)
    if not y_pred:
        return np.nan
    has_tokens = not is_text(y_pred[0])
    if has_tokens and tokenize not in (None, "none"):
        raise ValueError(f"tokenize must be None for lists of tokens, got {tokenize!r}.")
    # force: by default, sacrebleu logs a warning about texts that look tokenized.
    metric = metrics.BLEU(tokenize="none" if has_tokens else tokenize, lowercase=lowercase, force=True)
    return _score(metric, references, y_pred)


def chrf(y_true, y_pred, *, word_order=0, lowercase=False):
    """Return chrF of all translations together, from 0 to 100 (Popović 2015), as sacrebleu defines it.

    It is the F2 of 1-grams to 6-grams of characters without white space. It suits languages with many endings, and
    needs no tokens.

    Parameters
    ----------
    y_true : list of str, or list of sequences of tokens
        The references. A translation may have several, a list of them.
    y_pred : list of str, or list of sequences of tokens
        The translations, as many as in `y_true`.
    word_order : int, default=0
        The longest n-grams of words that are counted too; 2 is chrF++.
    lowercase : bool, default=False
        Whether upper and lower case are the same.

    Returns
    -------
    float
        NaN if there are no translations.

    Raises
    ------
    ImportError
        sacrebleu is not installed.
    ValueError
        The numbers of sequences differ, or texts stand beside lists of tokens.

    References
    ----------
    Maja Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015.

    Examples
    --------
    >>> round(chrf(["the cat sat on the mat ."], ["the cat sat on a mat ."]), 2)
    65.8
    """
    metrics = _library("chrF")
    references, y_pred = check_references(y_true, y_pred)
    if not y_pred:
        return np.nan
    return _score(metrics.CHRF(word_order=word_order, lowercase=lowercase), references, y_pred)


def _library(name):
    return optional_module("sacrebleu.metrics", f"{name} needs", extra="translate")


def _score(metric, references, y_pred):
    most = max(map(len, references))
    # sacrebleu takes the first references of all texts, then the second ones, and so on: None where there is no other.
    streams = [[_text(found[k]) if k < len(found) else None for found in references] for k in range(most)]
    return float(metric.corpus_score(list(map(_text, y_pred)), streams).score)


def _text(sequence):
    return sequence if is_text(sequence) else " ".join(map(str, sequence))
