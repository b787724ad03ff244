"""The ``fastrnn`` command."""
