"""A scoring endpoint as most are written: FastAPI on uvicorn, JSON in and out, an ONNX Runtime session. Runs in an environment of its own.

python fastapi_server.py model.onnx PORT
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel  # type: ignore[import-not-found, unused-ignore]

_OUTPUTS = ("reconstruction_error", "anomaly_score", "is_anomaly")


class Windows(BaseModel):  # type: ignore[misc, unused-ignore]
    """[batch][time][feature], raw units."""

    window: list[list[list[float]]]


def application(path: str) -> FastAPI:
    """One route, /score; the session has one thread and runs in the event loop, which is faster than a thread for each request."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    application = FastAPI()

    async def score(windows: Windows) -> dict[str, list[float | bool]]:
        scores = session.run(_OUTPUTS, {"window": np.asarray(windows.window, np.float32)})
        return {name: values.tolist() for name, values in zip(_OUTPUTS, scores, strict=True)}

    # The annotations are text here, which FastAPI resolves among the module's names.
    application.post("/score")(score)
    return application


if __name__ == "__main__":
    # No line for each request, uvloop and httptools: as fast as uvicorn is.
    uvicorn.run(application(sys.argv[1]), port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False)
