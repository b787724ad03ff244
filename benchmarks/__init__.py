"""Benchmarks, run by asv. Speed against another program is a ratio: both sides run by turns in one process."""
