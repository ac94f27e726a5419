"""The standard library's `socketserver`, even if this package has taken that name."""

from __future__ import annotations

import functools
import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType


@functools.cache
def standard_library() -> ModuleType:
    """Load the interpreter's module from its file.

    It is not added to `sys.modules`, so that no other code gets it. Each call returns the same
    module.
    """
    file = Path(sysconfig.get_path("stdlib")) / "socketserver.py"
    spec = importlib.util.spec_from_file_location("socketserver", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
