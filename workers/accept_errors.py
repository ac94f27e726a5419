"""Errors of accept(2) and recvfrom(2) that the client did not cause."""

import errno

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The process or the machine has run out of a resource. The connection stays in the backlog, so an
immediate retry would only spin."""

EXHAUSTED_PAUSE = 0.1
"""Seconds for which the listener is ignored after such an error."""

NO_LISTENER = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
"""The descriptor is no longer a listener."""
