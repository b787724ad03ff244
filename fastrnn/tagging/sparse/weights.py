"""A fitted conditional random field on sparse features: scores, best sequences, marginals; compiled and threaded."""

import typing

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.threads import effective_n_jobs, run, split
from fastrnn.layers.crf import allowed_scores
from fastrnn.tagging.sparse.chains import TransitionFactors, blank_emissions, find_marginals, find_paths
from fastrnn.utils.ragged import offsets_of, slices

_ENOUGH = 1 << 9  # elements that pay for a thread


class Weights(typing.NamedTuple):
    """The weights of a linear-chain conditional random field.

    Attributes with the same weights share a row.
    """

    rows: np.ndarray  # int32 (A,): the row of each attribute, -1 for none
    starts: np.ndarray  # int64 (n_rows + 1,): row r has the entries starts[r]:starts[r + 1]
    labels: np.ndarray  # int32 (n_entries,)
    values: np.ndarray  # float64 (n_entries,)
    transitions: np.ndarray  # float64 (K, K): from label i to label j

    @property
    def n_weights(self):
        """The number of weights of attributes and transitions."""
        return int(np.diff(self.starts)[self.rows].sum()) + self.transitions.size

    @property
    def nbytes(self):
        """The bytes of all arrays."""
        return sum(array.nbytes for array in self)

    def keep(self, kept):
        """Return the weights of the attributes for which `kept`, a bool array, is True; all of them need a row."""
        return self._replace(rows=self.rows[kept])

    def get_arrays(self):
        """Return the arrays that a file keeps, small integers in the smallest type."""
        return {
            "rows": self.rows,
            "row_sizes": smallest(np.diff(self.starts)),
            "labels": smallest(self.labels),
            "weights": self.values,
            "transitions": self.transitions,
        }

    @classmethod
    def from_arrays(cls, arrays):
        """Return the weights that had this result of `get_arrays`."""
        starts = offsets_of(arrays["row_sizes"])
        return cls(arrays["rows"], starts, arrays["labels"].astype(np.int32), arrays["weights"], arrays["transitions"])

    def pairs(self):
        """Return attribute, label and weight of all pairs, three arrays; the attributes ascend."""
        counts = np.diff(self.starts)[self.rows]
        entries, _ = slices(self.starts[self.rows], counts)
        return np.repeat(np.arange(len(self.rows)), counts), self.labels[entries], self.values[entries]

    def emissions(self, sequences, n_jobs=None):
        """Return the scores of the labels of each element, float64 (N, width), padded as in `tagging.sparse.chains`.

        Parameters
        ----------
        sequences : SparseSequences
        n_jobs : int or None
        """
        n_elements = len(sequences.element_offsets) - 1
        scores = np.empty((n_elements, len(base := blank_emissions(len(self.transitions)))))
        values = np.empty(0) if sequences.values is None else sequences.values
        arguments = (scores, base, sequences.attributes, values, sequences.element_offsets, *self[:4])
        run(_score_elements, [(*arguments, *part) for part in _parts(n_elements, n_elements, n_jobs)])
        return scores

    def paths(self, sequences, allowed, n_jobs=None):
        """Return the best labels of each element, int32 (N,).

        Parameters
        ----------
        sequences : SparseSequences
        allowed : tuple of bool array, or None
            Labels that may begin a sequence (K,), follow another one (K, K), and end a sequence (K,); None is all.
        n_jobs : int or None
        """
        emissions = self.emissions(sequences, n_jobs)
        if allowed is None:
            everything = np.ones(self.transitions.shape, bool)
            allowed = everything[0], everything, everything[0]
        start, follows, end = allowed_scores(allowed)
        paths = np.empty(len(emissions), np.int32)
        most = int(sequences.lengths.max(initial=0))
        arguments = paths, emissions, sequences.offsets, self.transitions + follows, start, end, most
        run(find_paths, [(*arguments, *part) for part in _parts(len(sequences), len(paths), n_jobs)])
        return paths

    def marginals(self, sequences, n_jobs=None):
        """Return the marginal probabilities of the labels of each element, float64 (N, K).

        Parameters
        ----------
        sequences : SparseSequences
        n_jobs : int or None
        """
        marginals = self.emissions(sequences, n_jobs)
        factors = TransitionFactors(self.transitions)
        arguments = (marginals, sequences.offsets, factors.forward, factors.backward, factors.shift, factors.scores,
                     factors.is_scaled, int(sequences.lengths.max(initial=0)))  # fmt: skip
        run(find_marginals, [(*arguments, *part) for part in _parts(len(sequences), len(marginals), n_jobs)])
        return marginals[:, : len(self.transitions)]


def smallest(numbers):
    """Return numbers of at least 0 in the smallest type of unsigned integers that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def _parts(count, n_elements, n_jobs):
    """Cut a range into as many parts as threads pay off for some elements."""
    return split(count, min(effective_n_jobs(n_jobs), 1 + n_elements // _ENOUGH))


@kernel
def _score_elements(scores, base, attributes, weights, element_offsets, rows, starts, labels, values, begin, end):
    """Write the scores of some elements, begin:end."""
    for element in range(begin, end):
        scores[element] = base
        for entry in range(element_offsets[element], element_offsets[element + 1]):
            row = rows[attributes[entry]]
            if row < 0:
                continue
            weight = weights[entry] if len(weights) else 1.0
            for pair in range(starts[row], starts[row + 1]):
                scores[element, labels[pair]] += weight * values[pair]
