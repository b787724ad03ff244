"""The error of a device without memory."""


class DeviceMemoryError(MemoryError):
    """A device has no memory left for an array.

    Parameters
    ----------
    message : str
        One sentence, which names the array and the memory that is free.
    available : int
        Bytes that all arrays together can take.
    """

    def __init__(self, message, available):
        super().__init__(message)
        self.available = available
