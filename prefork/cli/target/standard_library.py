"""The standard library's own `socketserver`, even if that name is taken by this package."""

from __future__ import annotations

import functools
import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType


@functools.cache
def standard_library() -> ModuleType:
    """Load the interpreter's module from its file.

    It is not entered in `sys.modules`, so that no other code gets it; the same module each time.
    """
    file = Path(sysconfig.get_path("stdlib")) / "socketserver.py"
    spec = importlib.util.spec_from_file_location("socketserver", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
