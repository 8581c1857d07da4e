"""What stock clients are asked to send, right and wrong, in a form that each of them reads."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np

from offbeat.result import FloatArray
from tests.runtime.folders import random_windows

WINDOWS = random_windows(3)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the Open Inference Protocol; `data` is the tensor's bytes in base64."""

    data: str
    shape: list[int]
    model: str = "level"
    version: str = ""
    name: str = "window"
    datatype: str = "FP32"
    outputs: tuple[str, ...] = ("anomaly_score",)
    timeout_s: float = 20.0


def ask(windows: FloatArray = WINDOWS, *, n_bytes: int | None = None, **fields: Any) -> Ask:
    """A request for the windows' scores; `n_bytes` cuts its bytes off, or fills them up with zeros."""
    data = windows.tobytes()
    if n_bytes is not None:
        data = data[:n_bytes].ljust(n_bytes, b"\0")
    return Ask(**{"data": base64.b64encode(data).decode(), "shape": list(windows.shape), **fields})


def _with(value: float) -> FloatArray:
    spoiled = WINDOWS.copy()
    spoiled[1, 2, 1] = value
    return spoiled


# What is wrong; the request; the status; and what the message must name.
WRONG: dict[str, tuple[Ask, str, str]] = {
    "unknown model": (ask(model="nobody"), "NOT_FOUND", r"'nobody'.*'level' \(1\)"),
    "unknown version": (ask(version="7"), "NOT_FOUND", "version 7"),
    "wrong name": (ask(name="x"), "INVALID_ARGUMENT", "'x'.*'window'"),
    "wrong type": (ask(datatype="INT32"), "INVALID_ARGUMENT", "'INT32'.*FP32"),
    "wrong rank": (ask(shape=[36]), "INVALID_ARGUMENT", "rank 1.*batch, time"),
    "wrong shape": (ask(shape=[3, 4, 3]), "INVALID_ARGUMENT", r"\[3, 4, 3\].*\[batch, time, 2\]"),
    "too few bytes": (ask(n_bytes=140), "INVALID_ARGUMENT", "140 bytes; expected 144"),
    "too many bytes": (ask(n_bytes=148), "INVALID_ARGUMENT", "148 bytes; expected 144"),
    "NaN": (ask(_with(np.nan)), "INVALID_ARGUMENT", r"\[1, 2, 1\].*finite"),
    "infinity": (ask(_with(np.inf)), "INVALID_ARGUMENT", r"\[1, 2, 1\].*finite"),
    "batch 0": (ask(shape=[0, 6, 2], n_bytes=0), "INVALID_ARGUMENT", r"\[0, 6, 2\].*batch included"),
    "too large a batch": (ask(random_windows(33)), "INVALID_ARGUMENT", "5 batches.*max_queue_size = 4"),
    "unknown output": (ask(outputs=("forecast",)), "INVALID_ARGUMENT", "'forecast'.*anomaly_score"),
}
