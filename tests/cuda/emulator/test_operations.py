"""Single instructions, as text, against NumPy and Python's integers."""

from fractions import Fraction

import numpy as np
import pytest

from tests.cuda.emulator import EmulatedDevice, EmulationError

pytestmark = pytest.mark.cpu
COUNT = 64


def text(lines, types):
    """Return a kernel that loads %a0, %a1, … of some types, runs lines, and stores %out of the last type."""
    parts, names = [], [*(f"%a{k}" for k in range(len(types) - 1)), "%out"]
    for name, kind in zip(names, types, strict=True):
        parts.append(f".reg .{kind} {name};")
    parts += [".reg .u64 %at, %from;", ".reg .u32 %t;", ".reg .pred %p, %q;", ".reg .b32 %r<9>;", ".reg .f32 %f<9>;",
              "mov.u32 %t, %tid.x;"]  # fmt: skip
    for k, (name, kind) in enumerate(zip(names, types, strict=True)):
        size = int(kind[1:]) // 8
        parts += [f"ld.param.u64 %from, [p{k}];", f"mad.wide.u32 %at, %t, {size}, %from;"]
        if name != "%out":
            parts.append(f"ld.global.{kind} {name}, [%at];")
    parameters = ", ".join(f".param .u64 p{k}" for k in range(len(types)))
    return (f".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k({parameters})\n{{\n"
            + "\n".join(parts) + f"\n{lines}\nst.global.{types[-1]} [%at], %out;\nret;\n}}\n")  # fmt: skip


def run(lines, types, *values, result, **options):
    """Return what the lines compute for arrays of values, one element a thread, in two warps of which one is halved."""
    from fastrnn.cuda import gpu
    from fastrnn.cuda.arrays import asarray, empty, to_numpy

    before = gpu.use(EmulatedDevice(**options))
    try:
        arrays = [asarray(value) for value in values]
        out = empty(len(values[0]), result)
        program = gpu.device().load(text(lines, types))
        places = [array.address for array in (*arrays, out)]
        gpu.device().launcher(program, 1, len(values[0]), places, 0, False)()
        return to_numpy(out)
    finally:
        gpu.use(before)


RNG = np.random.default_rng(0)
FLOATS = np.concatenate([RNG.normal(0, 3, COUNT - 8), [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e30, 1e-30]])
OTHERS = np.concatenate([RNG.normal(0, 3, COUNT - 8), [1.0, 2.0, np.nan, 3.0, -np.inf, 1.0, 1e30, -2.0]])
INTEGERS = np.concatenate([RNG.integers(-(2**31), 2**31, COUNT - 6), [0, 1, -1, 2**31 - 1, -(2**31), 77]])
SMALL = np.concatenate([RNG.integers(-40, 40, COUNT - 3), [3, -3, 1]])
SMALL[SMALL == 0] = 7


def wrapped(values, dtype):
    """Return integers of Python as those of a type, modulo its size."""
    size = 8 * np.dtype(dtype).itemsize
    numbers = [int(value) % (1 << size) for value in values]
    return np.array(numbers, f"u{size // 8}").view(dtype)


FLOAT_CASES = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div.rn": np.divide,
    "min": np.fmin,
    "max": np.fmax,
    "copysign": lambda a, b: np.copysign(b, a),
}


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", FLOAT_CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_arithmetic_of_floats_rounds_as_in_numpy(name, kind):
    dtype = {"f32": np.float32, "f64": np.float64}[kind]
    a, b = FLOATS.astype(dtype), OTHERS.astype(dtype)
    found = run(f"{name}.{kind} %out, %a0, %a1;", [kind] * 3, a, b, result=dtype)
    np.testing.assert_array_equal(found, FLOAT_CASES[name](a, b))


INTEGER_CASES = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul.lo": lambda a, b: a * b,
    "mul.hi": None,
    "div": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "rem": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
    "min": min,
    "max": max,
}


@pytest.mark.parametrize("kind", ["s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("name", INTEGER_CASES)
def test_arithmetic_of_integers_is_that_of_python_modulo_the_width(name, kind):
    size = int(kind[1:])
    dtype = np.dtype(f"{'i' if kind[0] == 's' else 'u'}{size // 8}")
    a = wrapped([int(x) * (1 if size == 32 else 2**31 + 12345) for x in INTEGERS], dtype)
    b = wrapped(SMALL if name in ("div", "rem") else a[::-1], dtype)
    found = run(f"{name}.{kind} %out, %a0, %a1;", [kind] * 3, a, b, result=dtype)
    expected = INTEGER_CASES[name] or (lambda x, y: (x * y) >> size)
    np.testing.assert_array_equal(found, wrapped(map(expected, a.tolist(), b.tolist()), dtype))


@pytest.mark.parametrize(
    ("lines", "types", "expected"),
    [
        ("mul.wide.s32 %out, %a0, %a1;", "s32 s32 s64", lambda a, b: a * b),
        ("mul.wide.u32 %out, %a0, %a1;", "u32 u32 u64", lambda a, b: a * b),
        ("mad.lo.s32 %out, %a0, %a1, 7;", "s32 s32 s32", lambda a, b: a * b + 7),
        ("mad.wide.s32 %out, %a0, %a1, -7;", "s32 s32 s64", lambda a, b: a * b - 7),
        ("and.b32 %out, %a0, %a1;", "u32 u32 u32", lambda a, b: a & b),
        ("xor.b32 %r1, %a0, %a1; not.b32 %out, %r1;", "u32 u32 u32", lambda a, b: ~(a ^ b)),
        ("shl.b32 %out, %a0, 5;", "u32 u32 u32", lambda a, b: a << 5),
        ("shl.b32 %out, %a0, 40;", "u32 u32 u32", lambda a, b: 0),
        ("shr.s32 %out, %a0, 40;", "s32 s32 s32", lambda a, b: -1 if a < 0 else 0),
        ("shr.s32 %out, %a0, 3;", "s32 s32 s32", lambda a, b: a >> 3),
        ("shr.u32 %out, %a0, 3;", "u32 u32 u32", lambda a, b: a >> 3),
        ("shf.l.wrap.b32 %out, %a0, %a1, 9;", "u32 u32 u32", lambda a, b: ((b << 32 | a) << 9) >> 32),
        ("shf.r.wrap.b32 %out, %a0, %a1, 9;", "u32 u32 u32", lambda a, b: (b << 32 | a) >> 9),
        ("lop3.b32 %out, %a0, %a1, 99, 0xE8;", "u32 u32 u32", lambda a, b: a & b | a & 99 | b & 99),
        ("prmt.b32 %out, %a0, %a1, 0x5410;", "u32 u32 u32", lambda a, b: a & 0xFFFF | b << 16),
        ("bfe.u32 %out, %a0, 4, 11;", "u32 u32 u32", lambda a, b: a >> 4 & 0x7FF),
        ("bfi.b32 %out, %a0, %a1, 4, 8;", "u32 u32 u32", lambda a, b: b & ~0xFF0 | (a & 0xFF) << 4),
        ("popc.b32 %out, %a0;", "u32 u32 u32", lambda a, b: bin(a).count("1")),
        ("clz.b32 %out, %a0;", "u32 u32 u32", lambda a, b: 32 - a.bit_length()),
        ("brev.b32 %out, %a0;", "u32 u32 u32", lambda a, b: int(f"{a:032b}"[::-1], 2)),
        ("cvt.s64.s32 %out, %a0;", "s32 s32 s64", lambda a, b: a),
        ("cvt.u64.u32 %out, %a0;", "u32 u32 u64", lambda a, b: a),
        ("cvt.s32.s8 %out, %a0;", "s32 s32 s32", lambda a, b: (a + 128) % 256 - 128),
        ("setp.lt.s32 %p, %a0, %a1; selp.b32 %out, 5, 6, %p;", "s32 s32 u32", lambda a, b: 5 if a < b else 6),
        ("setp.lt.u32 %p|%q, %a0, %a1; selp.b32 %out, 5, 6, %q;", "u32 u32 u32", lambda a, b: 6 if a < b else 5),
        ("setp.lt.s32 %p, %a0, 0; setp.gt.and.s32 %q, %a1, 9, !%p; selp.b32 %out, 1, 0, %q;", "s32 s32 u32",
         lambda a, b: int(a >= 0 and b > 9)),
        ("set.lt.u32.s32 %out, %a0, %a1;", "s32 s32 u32", lambda a, b: -1 if a < b else 0),
        ("mov.b32 %out, 3; setp.eq.s32 %p, %a0, 77; @!%p mov.b32 %out, %a1;", "s32 s32 s32",
         lambda a, b: 3 if a == 77 else b),
        ("add.cc.u32 %r1, %a0, %a1; addc.u32 %r2, 0, 0; mov.b64 %out, {%r1, %r2};", "u32 u32 u64", lambda a, b: a + b),
        ("sub.cc.u32 %r1, %a0, %a1; subc.u32 %r2, 0, 0; mov.b64 %out, {%r1, %r2};", "u32 u32 u64", lambda a, b: a - b),
        ("mad.lo.cc.u32 %r1, %a0, %a1, %a0; madc.hi.u32 %r2, %a0, %a1, 7; mov.b64 %out, {%r1, %r2};", "u32 u32 u64",
         lambda a, b: a * b + a + (7 << 32)),
        ("mov.b64 %out, {%a0, %a1};", "u32 u32 u64", lambda a, b: b << 32 | a),
    ],
)  # fmt: skip
def test_integers_and_bits(lines, types, expected):
    types = types.split()
    kinds = {name: np.dtype(f"{'i' if name[0] == 's' else 'u'}{int(name[1:]) // 8}") for name in types}
    a, b = wrapped(INTEGERS, kinds[types[0]]), wrapped(INTEGERS[::-1], kinds[types[1]])
    found = run(lines, types, a, b, result=kinds[types[2]])
    np.testing.assert_array_equal(found, wrapped(map(expected, a.tolist(), b.tolist()), kinds[types[2]]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fused_products_round_once():
    for kind, dtype in (("f32", np.float32), ("f64", np.float64)):
        a = (1 + RNG.random(COUNT)).astype(dtype)
        negative = -(a * a)
        found = run(f"fma.rn.{kind} %out, %a0, %a0, %a1;", [kind] * 3, a, negative, result=dtype)
        exact = [float(Fraction(x) ** 2 + Fraction(y)) for x, y in zip(a.tolist(), negative.tolist(), strict=True)]
        np.testing.assert_array_equal(found, np.array(exact, dtype))


@pytest.mark.parametrize(
    ("name", "function", "tolerance"),
    [("ex2.approx.ftz", np.exp2, 1e-6), ("rcp.approx.ftz", lambda x: 1 / x, 1e-6), ("sqrt.rn", np.sqrt, 0),
     ("rsqrt.approx.ftz", lambda x: 1 / np.sqrt(x), 1e-6), ("lg2.approx.ftz", np.log2, 3e-7), ("neg", np.negative, 0),
     ("sin.approx.ftz", np.sin, 2e-6), ("cos.approx.ftz", np.cos, 2e-6), ("tanh.approx", np.tanh, 5e-4)],
)  # fmt: skip
def test_functions_of_float32(name, function, tolerance):
    x = np.linspace(0.3, 3, COUNT, dtype=np.float32)
    found = run(f"{name}.f32 %out, %a0;", ["f32", "f32"], x, result=np.float32)
    np.testing.assert_allclose(found, function(x), rtol=tolerance, atol=tolerance)
    if name in ("tanh.approx", "lg2.approx.ftz", "sin.approx.ftz"):  # they are as wrong as the hardware may be
        assert np.abs(found - function(x.astype(np.float64))).max() > 1e-7


def test_flushing_makes_subnormal_results_zero():
    x = np.full(COUNT, 1e-30, np.float32)
    for ftz, zero in ((".ftz", True), ("", False)):
        found = run(f"mul{ftz}.f32 %out, %a0, 0f2B8CBCCC;", ["f32", "f32"], x, result=np.float32)  # 1e-12
        assert (found == 0).all() == zero


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_conversions_between_floats_and_integers():
    x = np.array(
        [0.5, 1.5, 2.5, -0.5, -1.5, 3e9, -3e9, np.nan, np.inf, -7.9, 7.9, 0.0, 1e-9, 5e8, 2.0, -2.0], np.float32
    )
    x = np.tile(x, COUNT // len(x))
    clipped = np.nan_to_num(x.astype(np.float64), nan=0, posinf=2**31 - 1, neginf=-(2**31)).clip(-(2**31), 2**31 - 1)
    for mode, rounding in (("rzi", np.trunc), ("rni", np.rint), ("rmi", np.floor), ("rpi", np.ceil)):
        found = run(f"cvt.{mode}.s32.f32 %out, %a0;", ["f32", "s32"], x, result=np.int32)
        np.testing.assert_array_equal(found, rounding(clipped).clip(-(2**31), 2**31 - 1).astype(np.int32))
        found = run(f"cvt.{mode}.f32.f32 %out, %a0;", ["f32", "f32"], x, result=np.float32)
        np.testing.assert_array_equal(found, rounding(x))
    numbers = INTEGERS.astype(np.int32)
    np.testing.assert_array_equal(
        run("cvt.rn.f32.s32 %out, %a0;", ["s32", "f32"], numbers, result=np.float32), numbers.astype(np.float32)
    )


def test_conversions_to_the_types_of_tensor_cores():
    x = RNG.normal(0, 1, COUNT).astype(np.float32)
    tf32 = run("cvt.rna.tf32.f32 %r1, %a0; mov.b32 %out, %r1;", ["f32", "f32"], x, result=np.float32)
    assert (np.abs(tf32 / x - 1) <= 2**-11).all()
    assert not (tf32.view(np.uint32) & 0x1FFF).any()
    pair = run("cvt.rn.bf16x2.f32 %out, %a0, %a1;", ["f32", "f32", "u32"], x, x[::-1].copy(), result=np.uint32)
    upper, lower = (pair & 0xFFFF0000).view(np.float32), (pair << 16).view(np.float32)
    assert (np.abs(upper / x - 1) <= 2**-8).all()
    assert (np.abs(lower / x[::-1] - 1) <= 2**-8).all()


def test_an_unknown_instruction_is_named_with_its_line():
    with pytest.raises(EmulationError, match=r"k: unknown instruction wave\.f32\nline 19: wave"):
        run("wave.f32 %out, %a0;", ["f32", "f32"], np.ones(COUNT, np.float32), result=np.float32)


def test_the_last_threads_of_a_warp_may_be_missing():
    x = np.arange(40, dtype=np.float32)
    np.testing.assert_array_equal(run("add.f32 %out, %a0, 0f3F800000;", ["f32", "f32"], x, result=np.float32), x + 1)
