"""What goes wrong in a kernel."""


class EmulationError(Exception):
    """A kernel did what it must not, or what the emulator does not know."""


class PTXError(EmulationError):
    """The text is no PTX, or PTX that the emulator does not know."""


class Fault(Exception):
    """An instruction cannot be executed; the launch turns it into an `EmulationError` that names the place.

    Parameters
    ----------
    message : str
    lane : int or None
        The thread of the team for which it cannot.
    """

    def __init__(self, message, lane=None):
        super().__init__(message)
        self.lane = lane
