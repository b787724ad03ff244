"""Networks: an encoder and a head each, and the gradients of a batch."""
