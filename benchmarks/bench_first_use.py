"""What the first fit of a network costs beyond the work, with an empty cache of kernels and with a warm one."""

from benchmarks.first_use import MODELS, beyond_the_work, measure


class FirstUse:
    params = (MODELS, ("empty", "warm"))
    param_names = ("model", "cache")

    def setup_cache(self):
        return {model: measure(model) for model in MODELS}

    def track_beyond_the_work(self, runs, model, cache):
        return beyond_the_work(runs[model][cache])

    track_beyond_the_work.unit = "s"
