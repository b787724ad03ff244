"""What the first use costs: a `fit` with an empty cache of kernels and with a warm one, in new processes.

python -m benchmarks.first_use [--model RNNTagger] [--cell lstm] [--kernels]

The work itself is what the same `fit` takes when it is called once more.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

MODELS = ("RNNLanguageModel", "RNNTagger", "RNNTranslator")
# Runs in a process of its own. A kernel's time is the processor's, without that of kernels compiled within it.
SCRIPT = """
import json, sys, time
begin = time.perf_counter()
import fastrnn
cls = getattr(fastrnn, sys.argv[1])
cls()
seconds = {"import": time.perf_counter() - begin}

from numba.core import event

class Kernels(event.Listener):
    def __init__(self):
        self.within, self.own = [], []

    def on_start(self, happened):
        self.within.append([time.process_time(), 0.0])

    def on_end(self, happened):
        begin, inner = self.within.pop()
        seconds = time.process_time() - begin
        if self.within:
            self.within[-1][1] += seconds
        function = happened.data["dispatcher"].py_func
        self.own.append((f"{function.__module__}.{function.__qualname__}", seconds - inner))

kernels = Kernels()
event.register("numba:compile", kernels)
data = [["the cat sat on the mat", "the dog sat on the log"] * 200]
if sys.argv[1] == "RNNTagger":
    data = [[text.split() for text in data[0]], [["DET", "NOUN", "VERB", "ADP", "DET", "NOUN"]] * 400]
if sys.argv[1] == "RNNTranslator":
    data = [data[0], [text.upper() for text in data[0]]]
for name in ("first fit", "fit again"):
    begin = time.perf_counter()
    cls(sys.argv[2], max_iter=2, random_state=0).fit(*data)
    seconds[name] = time.perf_counter() - begin
seconds["compiling"] = sum(own for _, own in kernels.own)
print(json.dumps({"seconds": seconds, "kernels": kernels.own}))
"""


def measure(model="RNNLanguageModel", cell="lstm"):
    """Return what two processes measure that share a cache which is empty at first, a dict each."""
    root = pathlib.Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": folder,
            "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
        }
        command = [sys.executable, "-c", SCRIPT, model, cell]
        runs = [
            subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True) for _ in range(2)
        ]
    return dict(zip(("empty", "warm"), (json.loads(run.stdout) for run in runs), strict=True))


def beyond_the_work(run):
    """Return the seconds that a process's first fit took longer than its second one."""
    return run["seconds"]["first fit"] - run["seconds"]["fit again"]


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--kernels", action="store_true", help="list the seconds of each kernel")
    arguments = parser.parse_args()
    runs = measure(arguments.model, arguments.cell)
    columns = list(runs["empty"]["seconds"])
    print(f"{'cache':8}" + "".join(f"{name:>12}" for name in columns) + f"{'beyond the work':>18}")
    for cache, run in runs.items():
        figures = "".join(f"{run['seconds'][name]:12.2f}" for name in columns)
        print(f"{cache:8}{figures}{beyond_the_work(run):18.2f}")
    if arguments.kernels:
        print()
        for name, seconds in sorted(runs["empty"]["kernels"], key=lambda kernel: -kernel[1]):
            print(f"{seconds:8.2f}  {name}")


if __name__ == "__main__":
    main()
