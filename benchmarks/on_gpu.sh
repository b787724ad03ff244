#!/bin/bash
# Try everything that needs a GPU, in less than nine minutes: what works, the tests, the benchmark, compute-sanitizer.
#
#     benchmarks/on_gpu.sh WHEELS [OUT]
#
# For a machine with torch, numba, numba-cuda and pytest on which nothing can be downloaded. WHEELS is a folder with the
# wheels that it lacks, at least nvmath-python for its Python:
#
#     pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
#         --platform manylinux_2_17_x86_64 -d WHEELS nvmath-python
#
# Logs go to the folder OUT ($OUT by default, or ./on_gpu), with a summary in summary.log. A part that fails or takes too
# long does not keep the others from running. PARTS="smoke benchmark" chooses parts; PYTHON is the interpreter.

wheels=$(realpath "${1:?usage: benchmarks/on_gpu.sh WHEELS [OUT]}")
out=${2:-${OUT:-on_gpu}}
mkdir -p "$out" && out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
python=${PYTHON:-python3}
parts=" ${PARTS:-smoke tests exchange benchmark host memcheck} "
began=$SECONDS

say() { echo "[$((SECONDS - began)) s] $*" | tee -a "$out/summary.log"; }

# run NAME SECONDS LINES COMMAND...: a part, with the last LINES of its log on the screen. A part out of time is
# interrupted, so that pytest still tells its failures. What it left running (a hanging kernel) is killed.
run() {
    local name=$1 seconds=$2 lines=$3 code
    shift 3
    [[ $parts == *" $name "* ]] || return 0
    say "$name: at most $seconds s"
    timeout --signal=INT --kill-after=20 "$seconds" "$@" > "$out/$name.log" 2>&1 < /dev/null
    code=$?
    tail -n "$lines" "$out/$name.log"
    say "$name: exit status $code$([[ $code == @(124|137) ]] && echo ', out of time')"
}

site=$(mktemp -d)
"$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$wheels"/*.whl ||
    say "the wheels could not be installed"
cat > "$site/sitecustomize.py" <<'PYTHON'
"""NumPy 2.5 has no row_stack, which numba 0.68.0 and numba-cuda 0.30 name when they are imported."""

import numpy as np

if not hasattr(np, "row_stack"):
    np.row_stack = np.vstack
PYTHON
export PYTHONPATH="$site:$PWD" PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 OPENBLAS_THREAD_TIMEOUT=4
nvidia-smi --query-gpu=name,driver_version,memory.used,clocks.sm --format=csv,noheader | tee -a "$out/summary.log"

run smoke 100 400 "$python" -m tests.cuda.smoke --seconds 95

# Kernels for the benchmark are compiled by processes of their own, beside the tests.
compiling=
if [[ $parts == *" benchmark "* ]]; then
    timeout --kill-after=5 110 "$python" -m benchmarks.cuda --parts compile --patience 1.7 > "$site/log" 2>&1 &
    compiling=$!
fi

# Warnings of other versions of packages than the project's own tests run with are no errors here.
pytest=("$python" -m pytest -v --tb=short -p no:cacheprovider -o filterwarnings=default -o addopts=--import-mode=importlib -rfE)
"$python" -c "import pytest_timeout" 2> /dev/null &&
    pytest+=(--timeout 60 --timeout-method thread --session-timeout 120)
several=()
"$python" -c "import xdist" 2> /dev/null && several=(-n 8)

thousand=test_a_thousand_runs_with_random_delays_are_equal
first=() # what is worth most, before all others
for name in recurrent_passes persistent persistent_on_tensor_cores attention recurrent_attention crf generation \
    drawing dense cross_entropy training; do
    [ -f "tests/cuda/test_$name.py" ] && first+=("tests/cuda/test_$name.py")
done
run tests 135 60 "${pytest[@]}" "${several[@]}" --maxfail 40 "${first[@]}" tests/cuda -m "not cpu" \
    --ignore tests/cuda/test_benchmark.py -k "not $thousand"
run exchange 45 20 "${pytest[@]}" tests/cuda/test_persistent_on_tensor_cores.py -k "$thousand"
if [ -n "$compiling" ]; then
    wait "$compiling"
    tail -n 5 "$site/log" | tee -a "$out/summary.log"
fi
run benchmark 250 160 "$python" -m benchmarks.cuda --parts rates,layers,sampling,training,crf,attention,translator,fit --out "$out"
run host 40 110 "$python" -m benchmarks.cuda_host --profile

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null)
if [ -n "$sanitizer" ]; then
    left=$((530 - SECONDS + began))
    [ $left -gt 20 ] && run memcheck "$left" 40 "$sanitizer" --tool memcheck --print-limit 20 \
        --error-exitcode 9 "$python" -m tests.cuda.smoke --seconds $((left - 5)) \
        copies "a kernel" "a kernel with shared memory" "LSTM, small" "few texts"
else
    say "there is no compute-sanitizer"
fi
say "done"
rm -rf "$site"
