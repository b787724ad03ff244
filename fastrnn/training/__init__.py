"""Training of any network: the loop, optimizers, checkpoints."""
