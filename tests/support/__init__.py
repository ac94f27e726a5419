"""What the tests stand on: deadlines, announcements, gates, children and the search for leaks.

Two rules.  A test never sleeps: it is told (``told``), it holds the gate (``gate``), or it waits
for an end (of a process, a thread, a connection); ``eventually`` is for facts nobody can announce.
And every wait has a deadline with a name (``deadlines``), so that nothing in the suite can hang.
"""
