"""What accept(2) and recvfrom(2) say when it is not the client's fault."""

import errno

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The process or the machine has run out of something. The connection stays in the backlog, so
trying again at once would only spin."""

EXHAUSTED_PAUSE = 0.1
"""Seconds for which the listener is left alone after that."""

NO_LISTENER = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
"""The descriptor is no listener any more."""
