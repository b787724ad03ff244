"""What the first fit of a network costs beyond the work, with an empty cache of kernels and with a warm one."""

from benchmarks.first_use import beyond_the_work, measure


class FirstUse:
    params = ("empty", "warm")
    param_names = ("cache",)

    def setup_cache(self):
        return measure()

    def track_beyond_the_work(self, runs, cache):
        return beyond_the_work(runs[cache])

    track_beyond_the_work.unit = "s"
