"""One fitted classifier, used by several threads at once: a server's load."""

import threading

import numpy as np

from fastrnn import RNNClassifier

_CALLS = 48


class Callers:
    """Time for the same number of predictions, made by one thread or shared out among several."""

    params = ((1, 2, 4, 8), (1, 64))
    param_names = ("callers", "texts")

    def setup(self, callers, texts):
        random = np.random.default_rng(0)
        words = [f"w{n}" for n in range(1000)]
        data = [" ".join(random.choice(words, 20)) for _ in range(64)]
        self.model = RNNClassifier(hidden_size=128, max_iter=1, early_stopping=False, random_state=0)
        self.model.fit(data, ["x", "y"] * 32)
        self.texts = data[:texts]
        self.model.predict_proba(self.texts)

    def time_predict_proba(self, callers, texts):
        def work():
            for _ in range(_CALLS // callers):
                self.model.predict_proba(self.texts)

        threads = [threading.Thread(target=work) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
