"""The subreaper attribute of this process (prctl(2), PR_SET_CHILD_SUBREAPER)."""

import ctypes

_SET, _GET = 36, 37


def adopts_orphans() -> bool:
    """Whether this process is a subreaper."""
    flag = ctypes.c_int()
    assert ctypes.CDLL(None).prctl(_GET, ctypes.byref(flag), 0, 0, 0) == 0
    return bool(flag.value)


def set_adopting_orphans(flag: int) -> None:
    assert ctypes.CDLL(None).prctl(_SET, ctypes.c_ulong(flag), 0, 0, 0) == 0
