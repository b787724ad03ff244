"""Two checkouts beside each other: the times of our side of `benchmarks.versus_torch`, processes interleaved.

python -m benchmarks.versus_checkout BEFORE AFTER [--rows PATTERN] [--threads 2] [--repeats 7] [--processes 3]

BEFORE and AFTER are folders with a checkout each. Two processes run at a time, one in each; they are timed in turns,
row by row. A ratio is the time after over the time before, of medians: above 1 is slower. Each further pair of
processes is another look at the same: what only one of them shows is noise.
"""

import argparse
import collections
import json
import math
import os
import re
import statistics
import subprocess
import sys

WORKER = """
import json, sys
from benchmarks import versus_torch as table
rows, pair = list(table.table_rows(int(sys.argv[1]))), None
print(json.dumps([[row.group, row.name] for row in rows]), flush=True)
for line in sys.stdin:
    row, calls = json.loads(line)
    if calls == 0:
        pair = rows[row].make()
    print(json.dumps(table.timing(pair.ours, max(calls, 1))[0]), flush=True)
"""


class Side:
    """A process in a checkout."""

    def __init__(self, folder, threads):
        environment = {**os.environ, "PYTHONPATH": folder, "OPENBLAS_THREAD_TIMEOUT": "4"}
        command = [sys.executable, "-W", "ignore", "-c", WORKER, str(threads)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.rows = json.loads(self.process.stdout.readline())

    def time(self, row, calls):
        """Return the seconds of a call; 0 calls make the row first."""
        self.process.stdin.write(json.dumps([row, calls]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(before, after, threads, pattern, repeats):
    """Yield group, name, and the ratio of medians for each row that both checkouts have."""
    sides = Side(before, threads), Side(after, threads)
    places = [{tuple(row): k for k, row in enumerate(side.rows)} for side in sides]
    for row in [row for row in places[0] if row in places[1] and re.search(pattern, ", ".join(row))]:
        calls = [math.ceil(0.01 / side.time(place[row], 0)) for side, place in zip(sides, places, strict=True)]
        seconds = [[], []]
        for turn in range(repeats):
            for k in (turn % 2, 1 - turn % 2):
                seconds[k].append(sides[k].time(places[k][row], calls[k]))
        yield *row, statistics.median(seconds[1]) / statistics.median(seconds[0])
    for side in sides:
        side.close()


def main(arguments=None):
    """Print a line a row with the ratios of all pairs of processes, and the medians of groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--rows", default="", metavar="PATTERN")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--processes", type=int, default=3, metavar="PAIRS")
    options = parser.parse_args(arguments)
    found, groups = collections.defaultdict(list), collections.defaultdict(list)
    for _ in range(options.processes):
        for group, name, ratio in compare(
            options.before, options.after, options.threads, options.rows, options.repeats
        ):
            found[group, name].append(ratio)
            print(f"{group + ', ' + name:50}{ratio:7.2f}", flush=True)
    print("\nmedians of the pairs")
    for (group, name), ratios in found.items():
        groups[group].append(statistics.median(ratios))
        print(f"{group + ', ' + name:50}{statistics.median(ratios):7.2f}  {' '.join(f'{r:.2f}' for r in ratios)}")
    for group, ratios in groups.items():
        print(f"{'all of ' + group:50}{statistics.median(ratios):7.2f}")


if __name__ == "__main__":
    main()
