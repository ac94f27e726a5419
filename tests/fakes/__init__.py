"""The real master with a scripted operating system: `tests.support.fake_system`."""
