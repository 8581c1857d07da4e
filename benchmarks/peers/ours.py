"""The native core in three precisions, and ONNX Runtime on the exported graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.peers.contender import Contender
from offbeat.native import Session
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

NATIVE = "native float32"


def native_contenders(folder: Path, windows: FloatArray) -> Iterator[Contender]:
    """Every precision of the core, through its Python binding, into arrays that are there already."""
    for precision in ("float32", "bfloat16", "int8"):
        session = Session.load(folder / "model.safetensors", precision=precision)
        yield _native(session, windows, precision)


def _native(session: Session, windows: FloatArray, precision: str) -> Contender:
    outputs: dict[str, NDArray[np.generic]] = {
        name: np.empty(len(windows), np.bool_ if name == "is_anomaly" else np.float32) for name in DEFAULT_OUTPUTS
    }
    return Contender(
        name=f"native {precision}",
        call=lambda: session.score_into(windows, outputs),
        errors=lambda: outputs["reconstruction_error"].astype(np.float32),
        is_reduced=precision != "float32",
    )


def onnxruntime_contender(folder: Path, windows: FloatArray, *, is_reduced: bool = False) -> Contender:
    """One thread, the three scores asked for."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    inputs = {"window": windows}

    def errors() -> FloatArray:
        computed: FloatArray = session.run(["reconstruction_error"], inputs)[0]
        return computed

    return Contender(
        name="onnxruntime int8" if is_reduced else "onnxruntime",
        call=lambda: session.run(DEFAULT_OUTPUTS, inputs),
        errors=errors,
        is_reduced=is_reduced,
    )
