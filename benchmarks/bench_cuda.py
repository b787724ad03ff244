"""Layers and language models on a GPU; skipped where there is none."""

from fastrnn.backends import has_gpu

SHAPES = {"35x20x650": (35, 20, 650), "100x64x512": (100, 64, 512), "50x32x128": (50, 32, 128)}


def need_gpu():
    """Make asv skip a benchmark where there is no GPU."""
    if not has_gpu():
        raise NotImplementedError("needs a GPU")


def finished(function):
    """Call a function, and wait until the GPU has done what it launched."""
    from fastrnn.cuda.gpu import device

    function()
    device().synchronize()


class LayerOnGPU:
    params = (["LSTM", "GRU", "RNN"], list(SHAPES), ["highest", "high", "medium"])
    param_names = ("cell", "shape", "precision")

    def setup(self, cell, shape, precision):
        need_gpu()
        from benchmarks.cuda_sides import OurLayer

        self.layer = OurLayer(cell, SHAPES[shape], precision, "cuda")
        for _ in range(3):  # compiles, and captures graphs
            finished(self.layer.training)
            finished(self.layer.forward)

    def time_forward(self, cell, shape, precision):
        finished(self.layer.forward)

    def time_training(self, cell, shape, precision):
        """Forward and backward."""
        finished(self.layer.training)


class LanguageModelOnGPU:
    params = ("highest", "high")
    param_names = ("precision",)

    def setup(self, precision):
        need_gpu()
        from benchmarks.cuda_sides import OurTraining

        self.training = OurTraining(650, 10_000, 35, 20, precision, "cuda")
        for _ in range(3):
            self.training.step()

    def time_step(self, precision):
        """A step of training: loss, gradients, clipping, update."""
        finished(self.training.step)


class SamplingOnGPU:
    params = (1, 8, 64, 1024)
    param_names = ("streams",)

    def setup(self, streams):
        need_gpu()
        from benchmarks.cuda_sides import OurSampling

        self.sampling = OurSampling(512, 96, streams, 256, "highest", "cuda")
        self.sampling.draw()  # compiles

    def time_256_characters(self, streams):
        """Characters of each stream, by a 2x512 LSTM."""
        self.sampling.draw()


class CRFOnGPU:
    params = ([9, 23, 50], [16, 128])
    param_names = ("tags", "sequences")

    def setup(self, tags, sequences):
        need_gpu()
        from benchmarks.cuda_sides import OurCRF

        self.crf = OurCRF((25, sequences, tags), "cuda")
        for function in (self.crf.loss, self.crf.decode):  # compiles
            finished(function)

    def time_loss(self, tags, sequences):
        """The loss and all gradients."""
        finished(self.crf.loss)

    def time_decode(self, tags, sequences):
        finished(self.crf.decode)
