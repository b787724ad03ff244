"""Look-up of embedding vectors, and its sparse gradient: only the rows that were used are touched."""

from fastrnn._jit import kernel


@kernel
def embedding_forward(out, weight, ids):
    """Compute out[i] = weight[ids[i]]."""
    # out (N, D), weight (V, D), ids (N,) int64
    for i in range(ids.size):
        source = ids[i]
        for j in range(weight.shape[1]):
            out[i, j] = weight[source, j]


@kernel
def embedding_backward(dweight, dout, ids, padding_idx):
    """Add dout[i] to dweight[ids[i]], in the order of i; rows of `padding_idx` (-1: none) are left out."""
    # dweight (V, D), dout (N, D), ids (N,) int64
    for i in range(ids.size):
        target = ids[i]
        if target != padding_idx:
            for j in range(dweight.shape[1]):
                dweight[target, j] += dout[i, j]
