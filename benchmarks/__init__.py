"""Benchmarks, run by asv. Speed against another program is a ratio: both sides run by turns in one process."""

import os

ROUNDS = int(os.environ.get("FASTRNN_BENCHMARK_ROUNDS", "9"))  # of interleaved runs, of which the median is taken
