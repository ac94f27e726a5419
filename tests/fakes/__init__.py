"""The real master on a scripted operating system: `tests.support.fake_system`."""
