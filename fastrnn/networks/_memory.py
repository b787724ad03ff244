"""Passes for which a device's memory does not suffice: how large a batch may be."""

import traceback

from fastrnn.utils.device_memory import DeviceMemoryError

_SHRINKAGE = 4  # by which the batch shrinks from trial to trial, until it fits


def within_memory(network, batch, run):
    """Return ``run(batch)``, a pass of a network; where memory does not suffice, say how large a batch may be.

    Parameters
    ----------
    network : Network
    batch : batch
        With ``extent`` and ``first(n)``; another one gets the plain error.
    run : callable

    Raises
    ------
    MemoryError
        The network's parameters are as before; its gradients are not.
    """
    try:
        return run(batch)
    except DeviceMemoryError as error:
        _release(network, error)
        if not hasattr(batch, "extent"):
            raise
        (n_sequences, n_steps), reason = batch.extent, str(error)
        most = _largest_batch(network, batch, run, error.available)
    raise MemoryError(
        f"A batch of {n_sequences} sequences of {n_steps} steps needs more memory than is left, and "
        f"{f'batches of up to about {most} fit' if most else 'not even one sequence fits'}: "
        f"{reason[0].lower()}{reason[1:]}"
    )


def _release(network, error):
    """Free the arrays that a pass has made before an error."""
    network.forget()
    traceback.clear_frames(error.__traceback__)


def _largest_batch(network, batch, run, available):
    """Return the number of sequences that fit, by the memory that passes with few of them take; 0 if none fits."""
    n, state = batch.extent[0], network.training_state()
    try:
        while n > 1:
            n = -(-n // _SHRINKAGE)
            peaks = [_peak(network, batch.first(part), run) for part in sorted({n, -(-n // 2)})]
            if None not in peaks:
                share = (peaks[-1] - peaks[0]) / max(n // 2, 1) or peaks[0]
                return int(min(n + (available - peaks[-1]) / share, batch.extent[0] - 1))
        return 0
    finally:
        network.set_training_state(*state)


def _peak(network, batch, run):
    """Return the bytes that all arrays take during a pass, or None if memory does not suffice."""
    try:
        return network.backend.peak_memory(lambda: run(batch))
    except DeviceMemoryError as error:
        _release(network, error)
        return None
    finally:
        network.forget()
