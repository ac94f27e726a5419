"""Where the tree under test is, and what an installation of it looks like."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def as_if_installed(folder: Path) -> Path:
    """Have `prefork` found in a folder, without the rest of the root.

    A program that starts there finds the standard library's module under `socketserver`.
    """
    (folder / "prefork").symlink_to(ROOT / "prefork")
    return folder
