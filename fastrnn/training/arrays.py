"""Parameters, gradients and averages: dicts of arrays of a device by name."""


def distinct(arrays):
    """Return the items of a dict of arrays; an array that has several names (tied weights) only under its first."""
    seen = set()
    return [(name, array) for name, array in arrays.items() if not (id(array) in seen or seen.add(id(array)))]


def copied(arrays, backend):
    """Return a dict of copies."""
    return {name: backend.copy(array) for name, array in arrays.items()}


def assign_all(targets, arrays, backend):
    """Write the values of arrays to those of the same names in `targets`."""
    for name, array in arrays.items():
        if targets[name] is not array:
            backend.assign(targets[name], array)


def all_finite(arrays, backend):
    """Return whether no array holds NaN or infinity."""
    return all(backend.is_finite(array) for array in arrays.values())


def on_host(arrays, backend):
    """Return a dict of NumPy arrays."""
    return {name: backend.to_numpy(array) for name, array in arrays.items()}
