"""How long importing takes, beside the imports that it cannot do without."""

import statistics
import subprocess
import sys

from benchmarks import ROUNDS


def _import_seconds(statement):
    """Return the seconds that an import takes in a new process."""
    code = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout)


class ImportTime:
    params = ("import fastrnn", "from fastrnn import NGramLanguageModel, RNNLanguageModel")
    param_names = ("statement",)

    def track_beyond_sklearn_and_numba(self, statement):
        """Median of what an import takes longer than scikit-learn and Numba together."""
        return statistics.median(
            _import_seconds(statement) - _import_seconds("import sklearn, numba") for _ in range(ROUNDS)
        )

    track_beyond_sklearn_and_numba.unit = "s"
