from tests.devices import device, pytest_generate_tests  # noqa: F401
