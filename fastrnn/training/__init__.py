"""Training of any network: the loop, schedules, optimizers, clipping, averages of weights, checkpoints."""
