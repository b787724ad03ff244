"""Whole kernels, compiled by Numba: control flow, warps, shared memory, barriers, tensor cores, and what goes wrong."""

import math

import numpy as np
import pytest
from numba import cuda, float32, int32

from tests.cuda.emulator import EmulationError, emulated
from tests.cuda.emulator.errors import Fault
from tests.cuda.emulator.memory import GlobalMemory

pytestmark = pytest.mark.cpu
RNG = np.random.default_rng(0)


@pytest.fixture(params=[0, 1])
def device(request):
    """An emulated GPU; the numbers are seeds."""
    with emulated(seed=request.param) as found:
        yield found


def launch(function, grid, block, *arguments, **options):
    """Launch a function as a kernel, on ndarrays that take what it writes."""
    from fastrnn.cuda.arrays import asarray, to_numpy
    from fastrnn.cuda.compiler import Kernel

    arrays = [asarray(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
    kernel = _kernels.setdefault(function, Kernel(function, {}))
    kernel.launch(grid, block, *arrays, **options)
    for argument, array in zip(arguments, arrays, strict=True):
        if isinstance(argument, np.ndarray):
            argument[...] = to_numpy(array)


_kernels = {}


def _collatz(out, numbers):
    for i in range(cuda.grid(1), numbers.size, cuda.gridsize(1)):
        n, count = numbers[i], 0
        while n != 1:
            if n % 2 == 0:
                n //= 2
            else:
                n = 3 * n + 1
            count += 1
            if count > 100:
                break
        out[i] = count


def test_threads_part_and_meet_again(device):
    def steps(n):
        count = 0
        while n != 1 and count <= 100:
            n, count = (n // 2 if n % 2 == 0 else 3 * n + 1), count + 1
        return count

    numbers = np.arange(1, 200, dtype=np.int64)
    out = np.zeros(numbers.shape, np.int32)
    launch(_collatz, 2, 64, out, numbers)
    np.testing.assert_array_equal(out, list(map(steps, numbers.tolist())))


def _functions(out, x):
    for i in range(cuda.grid(1), x.shape[0], cuda.gridsize(1)):
        out[i, 0] = math.exp(x[i])
        out[i, 1] = math.log(x[i])
        out[i, 2] = math.tanh(x[i])
        out[i, 3] = math.sin(x[i])
        out[i, 4] = math.sqrt(x[i])
        out[i, 5] = x[i] // x.dtype.type(0.7)
        out[i, 6] = math.atan2(x[i], x.dtype.type(2))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_functions_of_the_library(device, dtype, tolerance):
    x = np.concatenate([RNG.random(50) * 20 + 1e-3, [1e6, 12345.678]]).astype(dtype)  # large angles take a call
    out = np.zeros((x.size, 7), dtype)
    launch(_functions, 1, 32, out, x)
    with np.errstate(over="ignore"):
        expected = [np.exp(x), np.log(x), np.tanh(x), np.sin(x), np.sqrt(x), x // dtype(0.7), np.arctan2(x, dtype(2))]
    np.testing.assert_allclose(out, np.stack(expected, 1), rtol=tolerance, atol=tolerance)


def _sum_of_a_block(out, x):
    part = cuda.shared.array(64, float32)
    thread = cuda.threadIdx.x
    part[thread] = x[cuda.grid(1)]
    cuda.syncthreads()
    step = cuda.blockDim.x // 2
    while step:
        if thread < step:
            part[thread] += part[thread + step]
        cuda.syncthreads()
        step //= 2
    if thread == 0:
        out[cuda.blockIdx.x] = part[0]


def _sum_of_a_block_in_a_hurry(out, x):
    part = cuda.shared.array(64, float32)
    thread = cuda.threadIdx.x
    part[thread] = x[cuda.grid(1)]
    cuda.syncthreads()
    step = cuda.blockDim.x // 2
    while step:
        if thread < step:
            part[thread] += part[thread + step]
        step //= 2
    if thread == 0:
        out[cuda.blockIdx.x] = part[0]


def test_shared_memory_and_barriers(device):
    x = RNG.normal(0, 1, (5, 64)).astype(np.float32)
    out = np.zeros(5, np.float32)
    launch(_sum_of_a_block, 5, 64, out, x.reshape(-1))
    np.testing.assert_allclose(out, x.sum(1), rtol=1e-5)


def test_a_missing_barrier_is_a_race(device):
    with pytest.raises(EmulationError, match=r"race: it reads byte \d+ of shared memory, which thread \d+ of block 0"):
        launch(_sum_of_a_block_in_a_hurry, 1, 64, np.zeros(1, np.float32), np.ones(64, np.float32))


def _dynamic(out):
    part = cuda.shared.array(0, int32)
    part[cuda.threadIdx.x] = cuda.threadIdx.x
    cuda.syncthreads()
    out[cuda.threadIdx.x] = part[cuda.blockDim.x - 1 - cuda.threadIdx.x]


def test_dynamic_shared_memory_has_its_size(device):
    out = np.zeros(64, np.int32)
    launch(_dynamic, 1, 64, out, shared=256)
    np.testing.assert_array_equal(out, np.arange(64)[::-1])
    with pytest.raises(EmulationError, match=r"shared address 0xc8 is out of bounds: there are 200 bytes\nline .*"
                                             r"\(thread 50 of block 0\)"):  # fmt: skip
        launch(_dynamic, 1, 64, out, shared=200)
    with pytest.raises(EmulationError, match="bytes of shared memory"):
        launch(_dynamic, 1, 64, out, shared=300_000)


def _local(out, x):
    buffer = cuda.local.array(16, float32)
    i = cuda.grid(1)
    for k in range(16):
        buffer[k] = x[i] * k
    out[i] = buffer[int32(x[i]) % 16]


def test_local_arrays_are_those_of_a_thread(device):
    x = np.arange(64, dtype=np.float32)
    out = np.zeros(64, np.float32)
    launch(_local, 2, 32, out, x)
    np.testing.assert_array_equal(out, x * (x % 16))


def _count(counts, sums, x):
    i = cuda.grid(1)
    cuda.atomic.add(counts, x[i], 1)
    cuda.atomic.max(sums, 0, x[i])


def test_atomics(device):
    x = RNG.integers(0, 7, 128).astype(np.int32)
    counts, largest = np.zeros(7, np.int32), np.zeros(1, np.int32)
    launch(_count, 2, 64, counts, largest, x)
    np.testing.assert_array_equal(counts, np.bincount(x, minlength=7))
    assert largest[0] == x.max()


def _warp(out, x):
    i = cuda.grid(1)
    mask = 0xFFFFFFFF
    out[i, 0] = cuda.shfl_down_sync(mask, x[i], 3)
    out[i, 1] = cuda.shfl_up_sync(mask, x[i], 5)
    out[i, 2] = cuda.shfl_xor_sync(mask, x[i], 6)
    out[i, 3] = cuda.shfl_sync(mask, x[i], 7)
    out[i, 4] = cuda.ballot_sync(mask, x[i] > 0)
    out[i, 5] = cuda.all_sync(mask, x[i] > -1) + 2 * cuda.any_sync(mask, x[i] > 0)
    out[i, 6] = cuda.laneid
    if x[i] > 0:
        out[i, 7] = cuda.activemask()


def test_threads_of_a_warp_exchange_values(device):
    x = RNG.integers(0, 2, 64).astype(np.int32)
    x[40:] = 0
    out = np.zeros((64, 8), np.int64)
    launch(_warp, 1, 64, out, x)
    lanes, warps = np.arange(32), x.reshape(2, 32)
    below, above = np.minimum(lanes + 3, 31), lanes - 5
    expected = [np.where(lanes < 29, warps[:, below], warps), np.where(above >= 0, warps[:, above], warps),
                warps[:, lanes ^ 6], np.repeat(warps[:, 7:8], 32, 1)]  # fmt: skip
    for k, values in enumerate(expected):
        np.testing.assert_array_equal(out[:, k], values.reshape(-1))
    ballots = np.repeat((warps << lanes.astype(np.int64)).sum(1), 32)
    np.testing.assert_array_equal(out[:, 4], ballots)
    np.testing.assert_array_equal(out[:, 5], 1 + 2 * np.repeat(warps.any(1), 32))
    np.testing.assert_array_equal(out[:, 6], np.tile(lanes, 2))
    np.testing.assert_array_equal(out[:, 7], np.where(x > 0, ballots, 0))


def _read(out, x, shift):
    i = cuda.grid(1)
    out[i] = x[i + shift]


def test_reading_behind_an_array_is_an_error():
    x, out = np.ones(40, np.float32), np.zeros(40, np.float32)
    where = r"in no allocation: 0 bytes after the end of one of 160 bytes\nline \d+: ld\.global\.\w+ .*"
    for lines, which in ((False, ""), (True, r"\[test_kernels\.py:\d+\] ")):
        with emulated(lines=lines):
            launch(_read, 1, 40, out, x, 0)
            with pytest.raises(
                EmulationError, match=rf"test_kernels\._read: .* {where}{which}\(thread 39 of block 0\)"
            ):
                launch(_read, 1, 40, out, x, 1)


def test_memory_that_is_free_again_is_not_touched(device):
    from fastrnn.cuda.arrays import empty
    from fastrnn.cuda.compiler import Kernel

    x, out = empty(32, "float32"), empty(32, "float32")
    run = Kernel(_read, {}).prepare(1, 32, out, x, 0)
    run()
    del run.arguments, x
    with pytest.raises(EmulationError, match="in no allocation"):
        run()


def _increase(out):
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] += 1


def test_launches_come_one_after_the_other(device):
    from fastrnn.cuda.arrays import to_numpy, zeros
    from fastrnn.cuda.compiler import Kernel

    array, kernel = zeros(256, "int32"), Kernel(_increase, {})
    for grid, block in ((4, 64), (1, 32), (2, 64), (1, 1)):
        kernel.launch(grid, block, array)
    np.testing.assert_array_equal(to_numpy(array), 4)


def test_memory_is_used_again_and_allocations_have_gaps():
    memory = GlobalMemory(8192, races=False)
    places = [memory.allocate(size) for size in (256, 1, 1000, 0, 3000)]
    assert all(
        after - before > size for before, after, size in zip(places, places[1:], (256, 1, 1000, 0), strict=False)
    )
    with pytest.raises(MemoryError, match="8192 bytes"):
        memory.allocate(3072)
    memory.free(places[2])
    assert memory.allocate(600) == places[2]
    assert places[2] < memory.allocate(10) < places[3]
    memory.part(places[4], 3000)[:] = 1
    with pytest.raises(Fault, match="3001 bytes at 0x"):
        memory.part(places[4], 3001)


def _some_wait(out):
    if cuda.threadIdx.x % 2:
        cuda.syncthreads()
        out[cuda.threadIdx.x] = 1
    else:
        out[cuda.threadIdx.x] = 2
        cuda.syncthreads()
    out[cuda.threadIdx.x] += 1


def test_a_barrier_takes_all_threads_of_a_block(device):
    with pytest.raises(EmulationError, match="threads of a block wait at different barriers, of the lines"):
        launch(_some_wait, 1, 32, np.zeros(32, np.int32))


def _write_all(out):
    out[0] = cuda.grid(1)


def test_writing_different_values_to_a_place_is_a_race(device):
    for grid, block in ((1, 32), (2, 1)):
        with pytest.raises(EmulationError, match="race"):
            launch(_write_all, grid, block, np.full(1, -1, np.int64))


def test_arguments_have_the_sizes_of_the_parameters(device):
    from fastrnn.cuda.arrays import empty
    from fastrnn.cuda.compiler import Kernel, type_of

    x = empty(32, "float32")
    program = device.compile(Kernel(_read, {}), tuple(map(type_of, (x, x, 0))))
    with pytest.raises(EmulationError, match=r"the parameters have \[8, .*\] bytes, the arguments \[8, .* 4\]"):
        device.launcher(program, 1, 32, (x, x, np.int32(0)), 0, False)()


def test_a_launch_is_within_the_limits(device):
    with pytest.raises(EmulationError, match="2048 threads"):
        launch(_write_all, 1, 2048, np.zeros(1, np.int64))
    with pytest.raises(EmulationError, match="do not run at once in a cooperative launch"):
        launch(_write_all, 100, 1024, np.zeros(1, np.int64), cooperative=True)
