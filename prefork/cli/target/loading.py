"""Imports what `MODULE:NAME` names, or says in a sentence why that failed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from prefork.cli.outcomes import Refusal, did_you_mean


def look_in(folder: Path) -> None:
    """Look for modules in `folder` first."""
    sys.path.insert(0, str(folder.resolve()))


def anything(found: Any) -> bool:
    return True


def load(target: str, suits: Callable[[Any], bool] = anything) -> Any:
    """Import the object that `MODULE:NAME` names; NAME may contain dots.

    Errors: `Refusal`; if the name is missing, it suggests the nearest names that suit.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        name = (module_name or "app").removesuffix(".py").replace("/", ".")
        raise Refusal(f"{target!r} must name a module and what to serve, such as {name}:Handler.")
    found: Any = load_module(module_name)
    so_far = module_name
    names = path.split(".")
    for place, name in enumerate(names, 1):
        if not hasattr(found, name):
            where = f"module {module_name!r}" if found is sys.modules[module_name] else so_far
            near = names_in(found, suits if place == len(names) else anything)
            hint = did_you_mean(name, near, most=3)
            raise Refusal(f"There is no {name!r} in {where}{_file_of(found)}.{hint}")
        found = getattr(found, name)
        so_far = f"{so_far}.{name}"
    return found


def names_in(found: Any, suits: Callable[[Any], bool]) -> list[str]:
    """Return the public attributes that suit, found without running the user's code."""
    public = (name for name in dir(found) if not name.startswith("_"))
    return [name for name in public if suits(inspect.getattr_static(found, name, None))]


def load_module(name: str) -> ModuleType:
    """Import a user's module.

    Errors: `Refusal`; if the module raises an exception, with that exception and its line.
    """
    if name.endswith(".py") or "/" in name:
        module = name.removeprefix("./").removesuffix(".py").replace("/", ".")
        raise Refusal(f"{name!r} is a file; use the module name: {module}.")
    if not all(part.isidentifier() for part in name.split(".")):
        raise Refusal(f"{name!r} is not a valid module name.")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise Refusal(module_not_found(name)) from None
        raise Refusal(failure_in(f"Module {name!r} cannot be imported", error)) from error
    except (Exception, SystemExit) as error:
        raise Refusal(failure_in(f"Module {name!r} cannot be imported", error)) from error


def failure_in(what: str, error: BaseException) -> str:
    """Return `what`, followed by the exception and the line that raised it."""
    text = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    else:
        where = _line_of(error)
    return f"{what}: {text} ({where})"


def _line_of(error: BaseException) -> str:
    """Return the last line in the user's own folder, or else the last line of all."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if frame.filename.startswith(f"{sys.path[0]}/")]
    last = (users or frames)[-1]
    return f"{last.filename}:{last.lineno}"


def module_not_found(name: str) -> str:
    """Return the sentence for a missing module; it names the first part that is missing."""
    missing = name
    parts = name.split(".")
    for place in range(1, len(parts)):
        if importlib.util.find_spec(".".join(parts[:place])) is None:
            missing = ".".join(parts[:place])
            break
    parent, _, last = missing.rpartition(".")
    if parent:
        package = importlib.import_module(parent)
        folders = list(getattr(package, "__path__", []))
        if not folders:
            return f"There is no module {name!r}: {parent!r} is not a package."
        where = f"in package {parent!r}{_file_of(package)}"
    else:
        folders = sys.path[:1]
        where = f"in {folders[0]} or on the rest of Python's path"
    hint = did_you_mean(last, {found.name for found in pkgutil.iter_modules(folders)})
    return f"There is no module {last!r} {where}.{hint}"


def _file_of(module: Any) -> str:
    file = getattr(module, "__file__", None)
    return f" ({file})" if isinstance(module, ModuleType) and file else ""
