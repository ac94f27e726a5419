"""Support for the tests: deadlines, announcements, gates, child processes, the check for leaks.

Two rules. A test never sleeps: it waits for an announcement (``told``), it holds the gate
(``gate``), or it waits for the end of a process, a thread or a connection. ``eventually`` is for
facts that no process can announce. And every wait has a named deadline (``deadlines``), so that
nothing in the suite can hang.
"""
