"""A beam search of a network on the device: states stay there, distributions alone come to the host."""

import numpy as np
import pytest

from fastrnn import RNNLanguageModel, backends
from fastrnn.cuda import gpu
from tests import numpy_backend


@pytest.fixture(autouse=True)
def _reference():
    backends.register("numpy", numpy_backend)
    yield
    backends.register("numpy", None)


def test_states_stay_on_the_device(monkeypatch):
    device, models, downloaded = gpu.device(), {}, []
    for name in ("numpy", "cuda"):
        model = RNNLanguageModel("gru", 3, 4, 2, early_stopping=False, max_iter=1, random_state=0, device=name)
        models[name] = model.fit(["a b c d", "b c a", "c d b"])
    download = device.download
    monkeypatch.setattr(device, "download", lambda array: downloaded.append(array.shape) or download(array))
    expected, found = (model.beam_search("a", beam_width=3, n=3, max_length=3) for model in models.values())
    assert downloaded == [(rows, len(models["cuda"].vocabulary_)) for rows in (1, 3, 3)]
    assert [text for text, _ in found] == [text for text, _ in expected]
    np.testing.assert_allclose([log_prob for _, log_prob in found], [log_prob for _, log_prob in expected], rtol=1e-5)
