"""Files that commands write: refused before the work where they cannot be, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from offbeat.errors import ConfigurationError, DataError
from offbeat.files import try_replacing
from offbeat.targets import check_targets, check_writable, write_target

# Longer, with the ending that a file has while it is written, than any file system takes; root may write into every folder.
TOO_LONG = "x" * 250


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"x'; expected a file that can be written: File name too long"):
        check_targets({"out": tmp_path / TOO_LONG}, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into every folder")
def test_a_folder_of_somebody_else_is_refused_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="expected a file that can be written: Permission denied"):
        check_targets({"out": tmp_path / "scores.csv"}, [])


def test_what_is_there_already_is_left_by_the_trial(tmp_path: Path) -> None:
    there = tmp_path / "scores.csv"
    there.write_text("old")
    check_targets({"out": there, "outputs": tmp_path / "new.npz"}, [])
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
    assert there.read_text() == "old"


def test_a_pipe_and_a_device_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        check_writable("out", path)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def _half(file: IO[Any]) -> None:
    file.write(b"half of it")
    raise KeyboardInterrupt


def _full(file: IO[Any]) -> None:
    file.write(b"half of it")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("write", "error"), [(_half, KeyboardInterrupt), (_full, DataError)])
def test_nothing_half_written_is_left_whatever_ends_it(
    write: Callable[[IO[Any]], None], error: type[BaseException], tmp_path: Path
) -> None:
    there = tmp_path / "scores.csv"
    there.write_text("old")
    for path in (there, tmp_path / "new.csv"):
        with pytest.raises(error):
            write_target(path, "wb", write)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
    assert there.read_text() == "old"


def test_a_trial_fails_as_the_writing_would(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        try_replacing(Path("/dev/null/scores.csv"))
    with pytest.raises(FileNotFoundError):
        try_replacing(tmp_path / "absent" / "scores.csv")
