"""What is in a folder that may not be there, or not be ours to look into."""

from __future__ import annotations

from pathlib import Path

from offbeat.errors import BundleError


def is_folder(path: Path) -> bool:
    """Whether there is a folder; also where the path is one that no file can have."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Whether there is anything; not where it cannot be looked for."""
    try:
        return path.exists()
    except OSError:
        return False


def entries(folder: Path) -> tuple[Path, ...]:
    """Everything in a folder. Raises BundleError where it cannot be listed."""
    try:
        return tuple(folder.iterdir())
    except OSError as error:
        raise BundleError(f"{folder}: {error.strerror}; expected a folder that can be listed") from error
