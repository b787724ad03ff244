"""Progress of long work: a bar on a terminal or in a notebook, and lines in the log where there is no bar."""

import contextlib
import logging
import numbers
import sys
import threading
import time

import numpy as np

from fastrnn.utils.checks import shown

_LOGGER = logging.getLogger(__name__)
_PACKAGE_LOGGER = logging.getLogger("fastrnn")
_REPORT_SECONDS = 0.2  # between two updates of the figures after a bar
_LINE_SECONDS = 10  # between two lines of work without epochs


class Progress:
    """Context manager that reports the progress of long work.

    It shows a bar where stderr is a terminal, and in a notebook with ipywidgets. It logs lines of level INFO; without a
    bar, they go to stderr if logging is not configured. Both mention when a kernel is being compiled.

    Parameters
    ----------
    name : str
        The name of the work.
    verbose : int
        0 shows nothing.
    unit : str, default="step"
        The unit that `update` counts.
    total : int or None, default=None
        The number of units, if it is known.
    """

    def __init__(self, name, verbose, unit="step", total=None):
        if not isinstance(verbose, numbers.Real | np.bool_) or verbose < 0:
            raise ValueError(f"verbose must be an integer of at least 0, got {shown(verbose)}.")
        self.name, self.is_shown, self.unit, self.total = name, verbose > 0, unit, total
        self.n, self._bar = 0, None
        self._compiling, self._has_compiled = 0, False
        self._start = self._last = time.perf_counter()
        self._context = contextlib.ExitStack()

    def __enter__(self):
        if self.is_shown:
            make_bar = _bar_class()
            if make_bar is None:
                self._context.enter_context(_visible_lines())
            else:
                options = {"desc": self.name, "unit": f" {self.unit}", "total": self.total, "leave": False}
                self._bar = self._context.enter_context(make_bar(**options))
            self._context.enter_context(_watched_compiler(self.compiling))
        return self

    def __exit__(self, *error):
        self._context.close()

    def begin(self, total, done):
        """Set the total, and the units done so far; those before the first call do not count for the rate."""
        if self._bar is not None:
            if self._bar.total is None:
                self._bar.initial = self._bar.last_print_n = done
            self._bar.total, self._bar.n = total, done
        self.n, self.total = done, total

    def update(self, n=1, figures=None):
        """Count n more; `figures()` returns the figures shown after the bar, a dict of str to str."""
        self.n += n
        if self._bar is not None:
            if figures is not None and self._is_due(_REPORT_SECONDS):
                self._bar.set_postfix(figures(), refresh=False)
            self._bar.update(n)

    def count(self, n):
        """Count n more, and log a line from time to time, for work that has no other lines."""
        self.update(n)
        if self._bar is None and self._is_due(_LINE_SECONDS):
            self.line(f"{self.n:,} {self.unit}")

    def describe(self, what):
        """Show the current part of the work after the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(what)

    def line(self, message):
        """Log a line."""
        if self.is_shown:
            _LOGGER.info("%s: %s", self.name, message)

    @property
    def seconds(self):
        """Time since the beginning."""
        return time.perf_counter() - self._start

    def compiling(self, more):
        """Report that the compilation of a kernel, which may compile others, begins (1) or ends (-1)."""
        self._compiling += more
        if self._bar is not None and self._compiling in (0, 1):
            self._bar.set_description_str(f"{self.name} (compiling)" if self._compiling else self.name)
        elif self._bar is None and not self._has_compiled:
            self.line("compiling kernels")
        self._has_compiled = True

    def _is_due(self, seconds):
        now = time.perf_counter()
        if now - self._last < seconds:
            return False
        self._last = now
        return True


def _bar_class():
    """Return the class of bars for this process's terminal or notebook, or None if a bar would not be seen."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()  # missing from a half-imported IPython
    if shell is not None and "IPKernelApp" in shell.config:
        try:
            import ipywidgets  # noqa: F401
            from tqdm.notebook import tqdm
        except ImportError:
            return None
        return tqdm
    with contextlib.suppress(AttributeError, ValueError):  # no stderr, or a closed one
        if sys.stderr.isatty():
            from tqdm.std import tqdm

            return tqdm
    return None


class _Visibility:
    """Makes the lines of this package visible while at least one `Progress` shows them."""

    def __init__(self):
        self.lock, self.wanted, self.handler, self.level = threading.Lock(), 0, None, None

    def begin(self):
        with self.lock:
            self.wanted += 1
            if self.wanted > 1:
                return
            if not _PACKAGE_LOGGER.hasHandlers() and sys.stderr is not None:
                self.handler = logging.StreamHandler(sys.stderr)  # writes the message alone
                _PACKAGE_LOGGER.addHandler(self.handler)
            if _PACKAGE_LOGGER.level == logging.NOTSET:  # otherwise the user has chosen a level
                self.level = logging.NOTSET
                _PACKAGE_LOGGER.setLevel(logging.INFO)

    def end(self):
        with self.lock:
            self.wanted -= 1
            if self.wanted:
                return
            if self.handler is not None:
                _PACKAGE_LOGGER.removeHandler(self.handler)
            if self.level is not None:
                _PACKAGE_LOGGER.setLevel(self.level)
            self.handler = self.level = None


_visibility = _Visibility()


@contextlib.contextmanager
def _visible_lines():
    """Write lines to stderr where logging is not configured; where it is, enable those of level INFO."""
    _visibility.begin()
    try:
        yield
    finally:
        _visibility.end()


def _watched_compiler(tell):
    """Return a context within which `tell` is called with 1 before Numba compiles a function and with -1 after it."""
    from numba.core import event

    class Compilations(event.Listener):
        def on_start(self, compilation):
            tell(1)

        def on_end(self, compilation):
            tell(-1)

    return event.install_listener("numba:compile", Compilations())
