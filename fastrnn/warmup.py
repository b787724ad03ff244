"""Compiling the common kernels before they are needed, and deleting them from disk."""

import functools
import os
import pathlib
import time
import warnings
from typing import NamedTuple

import numpy as np
from numba.core import config

from fastrnn import _jit
from fastrnn._jit.folders import delete_files, file_sizes, kept_files
from fastrnn.backends import backend
from fastrnn.language.recurrent import RNNLanguageModel
from fastrnn.layers import Embedding, Recurrent, Softmax
from fastrnn.ngram import NGramLanguageModel
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import SGD, Adam
from fastrnn.utils.progress import Progress


class WarmUp(NamedTuple):
    """Result of `warm_up`.

    Attributes
    ----------
    compiled : int
        Kernels that were compiled.
    found : int
        Kernels that were on disk already, or had been used in this process.
    seconds : float
    folder : pathlib.Path
        The folder that they are kept in.
    size : int
        The bytes of all compiled kernels on disk.
    """

    compiled: int
    found: int
    seconds: float
    folder: pathlib.Path
    size: int


def warm_up(cells=("rnn", "gru", "lstm"), dtype="float32", verbose=0):
    """Compile the kernels of n-gram models and of networks with some cells, and keep them on disk for later processes.

    A kernel is compiled by its first use, here on a few numbers: the training and the prediction of a language model,
    and a step of Adam and of SGD. Kernels that are on disk already are not compiled again.

    Parameters
    ----------
    cells : iterable of str, default=("rnn", "gru", "lstm")
        Names of cells, see `fastrnn.layers.cells`.
    dtype : {"float32", "float64"}, default="float32"
        Type of the networks' numbers.
    verbose : int, default=0
        Whether to show a bar on stderr, or lines where that is not a terminal; 0 shows nothing.

    Returns
    -------
    WarmUp

    Raises
    ------
    RuntimeError
        Compiled kernels are not kept, by ``FASTRNN_CACHE=0`` or ``NUMBA_DISABLE_JIT=1``.
    OSError
        Kernels could not be written: the message says why, for each folder.

    Examples
    --------
    >>> from fastrnn.warmup import warm_up
    >>> done = warm_up(["rnn"])
    >>> done.compiled + done.found > 10
    True
    """
    if not _jit.CACHE_ENABLED or config.DISABLE_JIT:
        raise RuntimeError("Compiled kernels are not kept: FASTRNN_CACHE=0 or NUMBA_DISABLE_JIT=1 is set.")
    begin, before, lost = time.perf_counter(), set(_jit.used_files), len(_jit.not_kept)
    tasks = {"n-grams": _use_ngrams, "optimizers": lambda: _use_optimizers(dtype)}
    tasks |= {cell: functools.partial(_use_cell, cell, dtype) for cell in cells}
    with Progress("fastrnn warmup", verbose, "tasks", len(tasks)) as shown:
        for name, use in tasks.items():
            shown.describe(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # texts are too short for discounts; a full disk is an error here
                use()
            shown.update()
            shown.line(f"{name} done, {shown.seconds:.1f} s")
    if len(_jit.not_kept) > lost:
        raise OSError(f"Compiled kernels could not be written: {_jit.not_kept[-1]}.")
    compiled = [path for path, here in _jit.used_files.items() if here and path not in before]
    folder = pathlib.Path(os.path.commonpath([path.parent for path in compiled or _jit.used_files]))
    seconds = time.perf_counter() - begin
    return WarmUp(len(compiled), len(_jit.used_files) - len(compiled), seconds, folder, file_sizes(kept_files()))


def clear():
    """Delete the compiled kernels on disk, including those of earlier versions of the package.

    Returns
    -------
    count, size : int
        How many files were deleted, and their bytes.

    Raises
    ------
    OSError
        Some could not be deleted.
    """
    files = kept_files()
    deleted = delete_files(files)
    left = [path for path in files if path.exists()]
    if left:
        raise OSError(f"{len(left)} compiled kernels could not be deleted, {left[0]} for instance.")
    return deleted


def _use_ngrams():
    """Count n-grams, score a text with them, and draw one; unigrams alone take other branches."""
    for order in (1, 3):
        model = NGramLanguageModel(order).fit(["a b c", "a b a b"])
        model.score(["a c"])
        model.predict_proba(["a"])
        model.sample(random_state=0)
    backend("cpu").warm_up_threads()


def _use_optimizers(dtype):
    """Clip gradients of a matrix and of some rows of another, and take steps with them."""
    parameters = {name: np.zeros((2, 3), dtype) for name in ("dense", "sparse")}
    grads = {name: np.ones_like(array) for name, array in parameters.items()}
    rows = {"sparse": np.array([1])}
    clip_grad_norm(grads, 1.0, rows)
    for optimizer in (Adam(), SGD(0.1)):
        optimizer.step(parameters, grads, rows)


def _use_cell(cell, dtype):
    """Run a language model forward and backward, and predict with it."""
    options = {"dtype": dtype, "random_state": 0}
    embedding, recurrent = Embedding(4, 5, **options), Recurrent(cell, 5, 6, **options)
    softmax = Softmax(6, 4, **options)
    ids = np.arange(4)[:, None].repeat(3, axis=1)  # (T, B)
    for look_up in (embedding.forward, embedding.embedded):  # of many tokens, and of few
        h, _ = recurrent.forward(look_up(ids, training=True), training=True)
        _, dh = softmax.loss_and_gradient(h, ids)
        dx, _ = recurrent.backward(dh)
        embedding.backward(dx)
    softmax.log_probs(h, ids)
    for rows in (h, h[0, :1]):  # many, and one: other products
        softmax.probabilities(rows)
    if dtype == "float32":
        model = RNNLanguageModel(cell, 5, 6, max_iter=1, early_stopping=False, random_state=0).fit(["a b"])
        model.sample()
        model.predict_proba(["a", "a b"])  # a ragged batch
