"""Keeps ordinary work on a GPU and the capture of CUDA graphs apart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CaptureGuard:
    """Any number of runs at a time, or one capture, which goes first.

    ONNX Runtime captures with cudaStreamCaptureModeGlobal: until the capture ends, a call of any thread of the process that
    may wait for the device or allocate fails, and spoils the capture.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_runs = 0
        self._n_captures_waiting = 0
        self._is_capturing = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Any work with the device but a capture."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_capturing and not self._n_captures_waiting)
            self._n_runs += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_runs -= 1
                self._changed.notify_all()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Work that captures a graph."""
        with self._changed:
            self._n_captures_waiting += 1
            try:
                self._changed.wait_for(lambda: not self._is_capturing and not self._n_runs)
            finally:
                self._n_captures_waiting -= 1
            self._is_capturing = True
        try:
            yield
        finally:
            with self._changed:
                self._is_capturing = False
                self._changed.notify_all()


# One for the process, for CUDA's rule is one of the process.
CAPTURE_GUARD = CaptureGuard()
