"""CPU kernels: each operation as a forward and a backward function side by side, on arrays that the caller owns."""
