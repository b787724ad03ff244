"""A GPU without memory left: what the error says, and what is left of a step."""

import threading

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier
from fastrnn.cuda import gpu
from fastrnn.cuda.memory import Pool
from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.language import LanguageNetwork
from fastrnn.networks.sequence import Batch, MeanEmbeddingNetwork
from fastrnn.text.batching import Batch as TextBatch
from fastrnn.training.optimizers import Adam
from fastrnn.utils.device_memory import DeviceMemoryError

MEMORY = 50_000  # bytes


@pytest.fixture
def small(ops):
    """A device with little memory in the place of the GPU."""
    if not gpu.is_simulated():
        pytest.skip("of the simulator")
    from fastrnn.cuda.simulated import SimulatedDevice

    before = gpu.use(SimulatedDevice(MEMORY))
    yield gpu.device()
    gpu.use(before)


def test_an_array_that_does_not_fit_is_named_with_what_is_left(ops, small):
    kept, free = ops.empty((2500,), "float32"), [ops.empty((n,), "float64") for n in (1200, 1500)]
    del free
    with pytest.raises(DeviceMemoryError) as error:
        ops.zeros((300, 500), "float32")
    left = MEMORY - small.pool.used
    assert str(error.value) == (
        f"An array of shape (300, 500) and type float32 takes 0.6 MB, but the GPU has {left / 1e6:.1f} MB of 0.1 MB "
        "left."
    )
    assert error.value.available == MEMORY
    peak = ops.peak_memory(lambda: ops.empty((left * 7 // 8,), "uint8"))  # the pool has given all free memory back
    assert kept.nbytes + left * 7 // 8 <= peak <= MEMORY
    assert small.pool.used < peak


@pytest.mark.cpu
def test_arrays_may_die_while_a_pool_gives_memory_back():
    dying, freed = [], []

    def free(raw):
        freed.append(raw)
        dying.clear()

    pool = Pool(lambda size: size, free, threading.RLock())
    first, second = pool.take(256), pool.take(512)
    dying.append(second)
    del first, second
    pool.release()
    assert freed == [256, 512]


def test_arrays_of_a_cycle_that_nobody_uses_make_room(ops, small):
    cycle = [ops.empty((MEMORY // 2,), "uint8")]
    cycle.append(cycle)
    del cycle
    ops.empty((MEMORY * 3 // 4,), "uint8")


def network():
    vectors = np.random.default_rng(0).standard_normal((20, 4)).astype("float32")
    return MeanEmbeddingNetwork(vectors, 3, "classes", hidden_layer_sizes=(8,), dropout=0.2, embedding_dropout=0.0,
                                n_frozen=0, random_state=0, n_jobs=1, device="cuda")  # fmt: skip


def batch(n):
    """Return n sequences of 2 steps."""
    sequences = Sequences(np.arange(2 * n, dtype="int32") % 20, np.arange(0, 2 * n + 1, 2))
    return Batch(sequences, np.arange(n), np.arange(n) % 3, np.ones(n, "float32"))


def largest(run, size):
    """Return the size of a batch that is said to fit by the error of `run(batch(size))`."""
    message = rf"^A batch of {size} sequences of 2 steps needs more memory than is left, and batches of up to about "
    with pytest.raises(MemoryError, match=message + r"\d+ fit: an array of shape .* left\.$") as error:
        run(batch(size))
    return int(str(error.value).split(" about ")[1].split()[0])


def test_a_step_without_memory_leaves_the_model_and_says_which_batch_fits(small):
    net, other, optimizer = network(), network(), Adam(device="cuda")
    before, used = net.get_arrays(), small.pool.used
    fits = largest(net.train_step, 1000)
    assert small.pool.used == used  # nobody holds what the step has taken
    for name, array in net.get_arrays().items():
        np.testing.assert_array_equal(array, before[name])
    net.train_step(batch(int(0.8 * fits)))
    with pytest.raises(MemoryError):
        net.train_step(batch(int(1.3 * fits)))
    for one in (net, other):  # a step after this is as if there had been none before
        one.set_training_state(*network().training_state())
        one.train_step(batch(5))
        optimizer.step(one.parameters, one.grads, one.sparse_rows())
        optimizer.reset()
    for name, array in net.get_arrays().items():
        np.testing.assert_array_equal(array, other.get_arrays()[name])
        assert not np.array_equal(array, before[name])


def test_a_recurrent_step_without_memory_releases_what_it_has_taken(small):
    net = LanguageNetwork(12, 4, 3, dropout=0.1, input_dropout=None, output_dropout=None, embedding_dropout=0.0,
                          locked_dropout=False, tie_weights=False, softmax="full", softmax_cutoffs=None,
                          softmax_samples=3, counts=None, activity_penalty=0.0, temporal_activity_penalty=0.0,
                          random_state=0, n_jobs=1, device="cuda", cell="rnn", num_layers=2)  # fmt: skip

    def run(n):
        inputs = np.arange(2 * n, dtype="int32").reshape(2, n) % 12
        return net.train_step(TextBatch(inputs, inputs, None, True, 2))

    used = small.pool.used
    message = r"^A batch of 300 sequences of 2 steps needs .* up to about \d+ fit: an array"
    with pytest.raises(MemoryError, match=message) as error:
        run(300)
    assert small.pool.used < used + 2000  # small tables of the weights stay
    fits = int(str(error.value).split(" about ")[1].split()[0])
    run(int(0.8 * fits))
    with pytest.raises(MemoryError):
        run(int(1.3 * fits))


def test_a_prediction_without_memory_says_which_batch_fits(small):
    net = network()
    fits = largest(net.predict, 2000)
    net.predict(batch(int(0.8 * fits)))
    with pytest.raises(MemoryError):
        net.predict(batch(int(1.3 * fits)))
    for predict in (net.loss, net.outputs, net.encodings):
        assert 0 < largest(predict, 2000) < 2000


def test_a_failed_training_leaves_a_fitted_model(small):
    texts, labels = ["a b", "b c", "c d", "d a"] * 3, [0, 1, 1, 0] * 3
    model = MeanEmbeddingClassifier(4, hidden_layer_sizes=(8,), n_buckets=4, max_iter=2, random_state=0, device="cuda")
    before = model.fit(texts, labels).predict_proba(texts[:4])
    model.set_params(batch_size=1200)
    with pytest.raises(MemoryError, match=r"^A batch of 1200 sequences of \d+ steps needs .* up to about \d+ fit"):
        model.partial_fit(texts * 100, labels * 100)
    np.testing.assert_array_equal(model.predict_proba(texts[:4]), before)
    model.set_params(batch_size=12).partial_fit(texts, labels)
    assert not np.array_equal(model.predict_proba(texts[:4]), before)


def test_not_even_one_sequence_fits(small):
    net, free = network(), []
    while True:
        try:
            free.append(small.pool.take(256))
        except MemoryError:
            break
    with pytest.raises(MemoryError, match=r"^A batch of 100 sequences .* and not even one sequence fits: an array"):
        net.predict(batch(100))


def test_the_state_of_an_optimizer_is_made_before_any_parameter_changes(ops, small):
    parameters = {"a": ops.zeros((10,), "float32"), "b": ops.zeros((6000,), "float32")}
    grads = {"a": ops.asarray(np.ones(10, "float32")), "b": parameters["b"]}
    optimizer = Adam(device="cuda")
    with pytest.raises(DeviceMemoryError, match=r"shape \(6000,\)"):
        optimizer.step(parameters, grads)
    assert optimizer.n_steps == 0
    np.testing.assert_array_equal(ops.to_numpy(parameters["a"]), np.zeros(10))
