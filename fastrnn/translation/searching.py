"""Search for targets: the predictions of estimators that write sequences."""

import numpy as np

from fastrnn.language.search import beam_search
from fastrnn.networks.decoder import PairBatch
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN, START_ID
from fastrnn.translation.texts import read_once
from fastrnn.utils.checks import check_positive_integer
from fastrnn.utils.use import GuardedMixin

_MORE = 20  # tokens of a prediction than of the longest target of the training


class SearchMixin(GuardedMixin):
    """Methods of a `SequenceWriter` that write targets."""

    def predict(self, X, *, beam_width=5, max_length=None, length_penalty=0.0):
        """Return the most probable target of each source.

        Parameters
        ----------
        X : as in `fit`
        beam_width : int, default=5
            Number of hypotheses that the search follows; 1 takes the most probable token at each step.
        max_length : int or None, default=None
            Most tokens of a prediction; None allows a few more than the longest target of the training had.
        length_penalty : float, default=0.0
            Power of its length by which the log probability of a hypothesis is divided.

        Returns
        -------
        list of str or list of list of str
            As the targets of the training were given.
        """
        X = read_once(X)
        sources = self._read(X)
        found = self._search(sources, beam_width, max_length, length_penalty)
        return self._target.decode(self._found_tokens(X, sources, found))

    def _found_tokens(self, X, sources, found):
        """Return the tokens of predictions, lists of ids."""
        return list(map(self._target.vocabulary.decode, found))

    def _search(self, sources, beam_width=5, max_length=None, length_penalty=0.0):
        """Return the ids of the most probable target of each source, without the end."""
        check_positive_integer("beam_width", beam_width)
        most = self._target.longest + _MORE if max_length is None else max_length
        check_positive_integer("max_length", most)
        network, found = self.network_, [None] * len(sources)
        for rows in self._groups(sources, np.arange(len(sources))):
            state = network.start(PairBatch(sources, rows))
            candidates = beam_search(
                network.advance(state, np.full(len(rows), START_ID)), network.advance, network.take, end_id=END_ID,
                beam_width=beam_width, max_length=most, length_penalty=length_penalty, forbidden=self._forbidden(),
            )  # fmt: skip
            for row, (best, *_) in zip(rows.tolist(), candidates, strict=True):
                found[row] = best.ids
        return found

    def _forbidden(self):
        """Return the tokens that are never written."""
        return list(NEVER_WRITTEN)
