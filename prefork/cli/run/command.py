"""`prefork run`: runs an existing program, unchanged, with this package as `socketserver`."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType

import prefork.socketserver as api
from prefork.cli.options import PoolOptions
from prefork.cli.outcomes import Refusal, did_you_mean
from prefork.cli.run.substitutes import put_pools_in_place
from prefork.cli.target.loading import module_not_found
from prefork.socketserver.dropin import install


def run(program: Sequence[str], pool: bool, options: PoolOptions) -> int:
    """Run the program as `python` would; it may raise `SystemExit` or another exception.

    Errors: `Refusal` if there is no such program.
    """
    if not pool and options != PoolOptions():
        raise Refusal("Pool options need --pool: `prefork run --pool ...`.")
    words = list(program)
    if not words:
        raise Refusal("The program is missing: add SCRIPT.py, or -m MODULE.")
    if words[0] == "-m" and len(words) == 1:
        raise Refusal("The module after -m is missing.")
    forget_users_of_the_library()
    install()
    if pool:
        put_pools_in_place(options)
    sys.excepthook = show_the_programs_part
    if words[0] == "-m":
        run_module(words[1:])
    else:
        run_script(words)
    return 0


def run_script(words: Sequence[str]) -> None:
    """Run a script like `python SCRIPT ...`, with its folder first on the path.

    Errors: `Refusal`.
    """
    script = Path(words[0])
    if not script.exists():
        near = [path.name for path in script.parent.glob("*.py")] if script.parent.is_dir() else []
        raise Refusal(f"There is no program {words[0]!r}.{did_you_mean(script.name, near)}")
    if not os.access(script, os.R_OK):
        raise Refusal(f"No permission to read the program {words[0]!r}.")
    sys.argv[:] = words
    # For a folder or an archive runpy does the same.
    if script.is_file() and script.suffix != ".zip":
        put_first_on_path(str(script.resolve().parent))
    runpy.run_path(words[0], run_name="__main__")


def run_module(words: Sequence[str]) -> None:
    """Run a module like `python -m MODULE ...`, with the current folder first on the path.

    Errors: `Refusal`.
    """
    name = words[0]
    put_first_on_path(os.getcwd())
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        found = None
    except ValueError:
        found = None
    if found is None:
        raise Refusal(module_not_found(name))
    if found.submodule_search_locations is not None and not _has_main(name):
        raise Refusal(f"Cannot run the package {name!r}: it has no __main__.")
    sys.argv[:] = words
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def put_first_on_path(folder: str) -> None:
    """Put `folder` on the path in place of this command's, which the interpreter put first."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _has_main(package: str) -> bool:
    return importlib.util.find_spec(f"{package}.__main__") is not None


def forget_users_of_the_library() -> None:
    """Forget modules that use the library's `socketserver`, so that they are imported again.

    A `sitecustomize`, for example, may have imported `logging.config` before this command ran.
    """
    library = sys.modules.get("socketserver")
    if library is None or library is api:
        return
    for name, module in list(sys.modules.items()):
        if module is library or _uses(module, library):
            del sys.modules[name]


def _uses(module: ModuleType | None, library: ModuleType) -> bool:
    classes = tuple(vars(library)[name] for name in library.__all__)
    for value in list(vars(module).values()) if module is not None else ():
        if value is library or (isinstance(value, type) and issubclass(value, classes)):
            return True
    return False


def show_the_programs_part(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Report an exception as the interpreter does, without the frames outside the program."""
    ours = (str(Path(__file__).parents[2]), runpy.__file__, "<frozen runpy>")
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(ours):
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)
