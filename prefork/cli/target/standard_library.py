"""The standard library's own `socketserver`, whatever answers to that name."""

from __future__ import annotations

import functools
import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType


@functools.cache
def standard_library() -> ModuleType:
    """The interpreter's module, loaded by its file: the name may be ours.

    It is put under no name, so that nobody else gets it; the same module each time.
    """
    file = Path(sysconfig.get_path("stdlib")) / "socketserver.py"
    spec = importlib.util.spec_from_file_location("socketserver", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
