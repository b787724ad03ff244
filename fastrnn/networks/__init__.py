"""Networks: an encoder and an output each, with the gradients of a batch."""
