"""Blocks that wait for each other: counters, releases, acquires and fences, as text and by Numba."""

import numpy as np
import pytest

from tests.cuda.emulator import EmulationError, emulated

pytestmark = pytest.mark.cpu
BLOCKS, THREADS, STEPS = 4, 64, 5

# Each thread adds the values that its neighbour in the next block wrote in the step before, in two buffers by turns.
EXCHANGE = """
.version 8.0
.target sm_90
.address_size 64
.visible .entry exchange(.param .u64 buffers, .param .u64 counter, .param .u64 out)
{{
    .reg .u64 %buffers, %counter, %out, %at;
    .reg .u32 %t, %b, %next, %step, %place, %own, %count, %target;
    .reg .f32 %x, %y;
    .reg .pred %p, %first;
    ld.param.u64 %buffers, [buffers];
    ld.param.u64 %counter, [counter];
    ld.param.u64 %out, [out];
    mov.u32 %t, %tid.x;
    mov.u32 %b, %ctaid.x;
    setp.eq.u32 %first, %t, 0;
    add.u32 %next, %b, 1;
    and.b32 %next, %next, 3;
    mad.lo.u32 %own, %b, 64, %t;
    cvt.rn.f32.u32 %x, %own;
    mov.u32 %step, 0;
    mov.u32 %target, 0;
LOOP:
    and.b32 %place, %step, 1;
    mad.lo.u32 %place, %place, {stride}, %own;
    mad.wide.u32 %at, %place, 4, %buffers;
    st.global.f32 [%at], %x;
    add.u32 %target, %target, 4;
    {before}
    @!%first bra WAITED;
    {arrive}
SPIN:
    {peek}
    setp.lt.u32 %p, %count, %target;
    @%p bra SPIN;
    {seen}
WAITED:
    {after}
    and.b32 %place, %step, 1;
    mul.lo.u32 %place, %place, {stride};
    mad.lo.u32 %place, %next, 64, %place;
    add.u32 %place, %place, %t;
    mad.wide.u32 %at, %place, 4, %buffers;
    ld.global.f32 %y, [%at];
    add.f32 %x, %x, %y;
    add.u32 %step, %step, 1;
    setp.lt.u32 %p, %step, 5;
    @%p bra LOOP;
    mad.wide.u32 %at, %own, 4, %out;
    st.global.f32 [%at], %x;
    ret;
}}
"""
ORDERED = {
    "stride": 256,
    "before": "bar.sync 0;",
    "arrive": "red.release.gpu.global.add.u32 [%counter], 1;",
    "peek": "ld.acquire.gpu.global.u32 %count, [%counter];",
    "seen": "",
    "after": "bar.sync 0;",
}


def exchange(cooperative=True, seed=0, **changes):
    """Run the exchange; return what the threads have in the end."""
    from fastrnn.cuda.arrays import to_numpy, zeros

    with emulated(seed=seed) as device:
        arrays = zeros(2 * BLOCKS * THREADS, "float32"), zeros(1, "uint32"), zeros(BLOCKS * THREADS, "float32")
        program = device.load(EXCHANGE.format(**{**ORDERED, **changes}))
        places = [array.address for array in arrays]
        device.launcher(program, BLOCKS, THREADS, places, 0, cooperative)()
        return to_numpy(arrays[2]).reshape(BLOCKS, THREADS)


def expected():
    x = np.arange(BLOCKS * THREADS, dtype=np.float32).reshape(BLOCKS, THREADS)
    for _ in range(STEPS):
        x = x + np.roll(x, -1, 0)
    return x


@pytest.mark.parametrize("seed", range(3))
def test_blocks_exchange_values(seed):
    np.testing.assert_array_equal(exchange(seed=seed), expected())


def test_fences_make_relaxed_accesses_order_others():
    fenced = {
        "arrive": "fence.acq_rel.gpu; red.relaxed.gpu.global.add.u32 [%counter], 1;",
        "peek": "ld.relaxed.gpu.global.u32 %count, [%counter];",
        "seen": "membar.gl;",
    }
    np.testing.assert_array_equal(exchange(**fenced), expected())


@pytest.mark.parametrize(
    "changes",
    [
        {"before": ""},  # the first thread arrives before the others have written
        {"after": ""},  # threads read before the first one has waited
        {"arrive": "red.relaxed.gpu.global.add.u32 [%counter], 1;"},
        {"peek": "ld.relaxed.gpu.global.u32 %count, [%counter];"},
        {"arrive": "red.release.cta.global.add.u32 [%counter], 1;"},
        {"stride": 0},  # one buffer: written while others may still read it
    ],
)
def test_what_does_not_order_the_exchange_is_a_race(changes):
    with pytest.raises(EmulationError, match=r"race: it (reads|writes) byte"):
        exchange(**changes)


def test_blocks_that_wait_for_ever_are_named_with_their_place():
    with pytest.raises(
        EmulationError, match=r"exchange: no thread can go on\n(.|\n)*63 threads wait at line \d+: bar.sync"
    ):
        exchange(arrive="red.release.gpu.global.add.u32 [%counter], 0;")


def test_only_a_cooperative_launch_may_wait_for_other_blocks():
    with pytest.raises(EmulationError, match="no thread can go on"):
        exchange(cooperative=False)
