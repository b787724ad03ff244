"""Fit a file with a limit of memory, in a process of its own for each size, and print how much was resident at most.

python -m benchmarks.ngram_file [MEGABYTES] [LIMIT]

The lines of the file are those of `bench_ngram`, repeated in other orders: the model stays small, and what is resident
beyond the process of the small file is what the text takes.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks.bench_ngram import load_lines

_FIT = """
import pathlib, resource, sys, warnings
from fastrnn.ngram import NGramLanguageModel
warnings.simplefilter("ignore")
NGramLanguageModel(3, tokenizer="whitespace", memory_limit=sys.argv[2] or None).fit(pathlib.Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)  # kilobytes on Linux
"""


def write_text(path, n_bytes):
    """Write a text of about so many bytes."""
    rng = np.random.default_rng(0)
    lines = [f"{line}\n" for line in load_lines()[0][:2000]]
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < n_bytes:
            file.writelines(lines[i] for i in rng.permutation(len(lines)))


def peak(path, limit):
    """Return the megabytes that a process had in memory at most, which fits a model to a file."""
    answer = subprocess.run([sys.executable, "-c", _FIT, path, limit], capture_output=True, text=True, check=True)
    return float(answer.stdout)


def main(megabytes, limit):
    """Print the peaks with a small and with a large file, with the limit and without it."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = pathlib.Path(folder, "small.txt"), pathlib.Path(folder, "large.txt")
        write_text(small, 1)
        write_text(large, megabytes * 1e6)
        for name in (limit, ""):
            peak(small, name)  # compiles
            first = peak(small, name)
            more = peak(large, name) - first
            print(f"memory_limit={name or None}: {first:.0f} MB with {small.stat().st_size / 1e6:.1f} MB of text, "
                  f"{more:.0f} MB more with {large.stat().st_size / 1e6:.0f} MB", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", type=int, nargs="?", default=60, metavar="MEGABYTES")
    parser.add_argument("limit", nargs="?", default="20MB", metavar="LIMIT")
    arguments = parser.parse_args()
    main(arguments.megabytes, arguments.limit)
