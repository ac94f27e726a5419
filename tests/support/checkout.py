"""The root of the tree under test, and a folder that looks like an installation of it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def as_if_installed(folder: Path) -> Path:
    """Make `prefork` importable from a folder, without the rest of the root.

    A program that starts there finds the standard library's module under `socketserver`.
    """
    (folder / "prefork").symlink_to(ROOT / "prefork")
    return folder
