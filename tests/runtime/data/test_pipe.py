from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import termios
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from offbeat.data.pipe import open_pipe
from tests.runtime.server.live import eventually


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[int]:
    """The writing end of the named pipe `pipe`, open for reading and writing, so that nobody waits for the other end."""
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def _read(pipe: BinaryIO, outcomes: list[str]) -> None:
    try:
        pipe.read(100)
    except OSError as error:
        outcomes.append(str(error.strerror))


def _is_read_empty(writer: int) -> bool:
    """Whether somebody took what was written, so that he waits for more."""
    n_left = array("i", [0])
    fcntl.ioctl(writer, termios.FIONREAD, n_left)
    return n_left[0] == 0


def test_bytes_come_as_they_were_written(writer: int, tmp_path: Path) -> None:
    with open_pipe(tmp_path / "pipe") as pipe:
        for part in (b"pressure,", b"flow\n", b"1,2\n"):
            os.write(writer, part)
        assert pipe.readline() == b"pressure,flow\n"
        assert pipe.read(4) == b"1,2\n"


def test_another_thread_that_waits_for_bytes_is_not_waited_for(writer: int, tmp_path: Path) -> None:
    outcomes: list[str] = []
    with open_pipe(tmp_path / "pipe") as pipe:
        os.write(writer, b"half a line")
        reader = threading.Thread(target=_read, args=(pipe, outcomes))
        reader.start()
        eventually(lambda: _is_read_empty(writer), "it waits for more")
    reader.join(60)
    assert outcomes == ["the reading was ended by a signal"]


def test_a_signal_that_python_handles_ends_the_waiting_of_another_thread(writer: int, tmp_path: Path) -> None:
    noted: list[int] = []
    outcomes: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: noted.append(number))
    try:
        with open_pipe(tmp_path / "pipe") as pipe:
            os.write(writer, b"half a line")
            reader = threading.Thread(target=_read, args=(pipe, outcomes))
            reader.start()
            eventually(lambda: _is_read_empty(writer), "it waits for more")
            signal.raise_signal(signal.SIGUSR1)
            reader.join(60)
            assert outcomes == ["the reading was ended by a signal"]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert noted == [signal.SIGUSR1]


def test_whoever_was_told_of_signals_is_told_of_them_still(writer: int, tmp_path: Path) -> None:
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.set_wakeup_fd(wake)
    try:
        with open_pipe(tmp_path / "pipe"):
            assert signal.set_wakeup_fd(wake) == wake
        assert signal.set_wakeup_fd(-1) == wake
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wake)


def _pipes() -> set[tuple[str, str]]:
    """Descriptors of this process with the pipes that they are of; sockets come and go with the threads of other tests."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if each.is_fifo():
                found.add((each.name, str(each.readlink())))
    return found


def test_no_descriptor_is_left_open(writer: int, tmp_path: Path) -> None:
    before = _pipes()
    with open_pipe(tmp_path / "pipe"):
        assert len(_pipes() - before) == 3
    with pytest.raises(KeyError), open_pipe(tmp_path / "pipe"):
        raise KeyError
    assert _pipes() <= before
    assert signal.set_wakeup_fd(-1) == -1
