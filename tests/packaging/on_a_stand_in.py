"""Run where onnxruntime-gpu is and CUDA's libraries are the stand-in: `python on_a_stand_in.py FOLDER` prints what was seen, as JSON."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from offbeat.backends import create_backend
from offbeat.backends.cuda_backend import open_lanes
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.backends.graph_rehearsal import why_no_graphs
from offbeat.bundle import ModelVersion
from offbeat.bundle.golden import Golden
from offbeat.config import BackendConfig
from offbeat.result import DEFAULT_OUTPUTS

version = ModelVersion.open(Path(sys.argv[1]))
config = BackendConfig(backend="cuda", n_streams=2, max_bucket_size=4)
seen = {"rehearsal": why_no_graphs(version, config), "auto": create_backend(version, BackendConfig()).description}

# The stand-in computes nothing: from here on golden windows may be missed.
Golden.largest_deviation = lambda self, *_: (0.0, "")  # type: ignore[method-assign]
backend = open_lanes(GpuProvider.CUDA, version, config, has_graphs=True)
window = version.golden().window


def score(number: int) -> int:
    windows = np.repeat(window[:1], 1 + number % 9, axis=0)
    names = version.manifest.output_names if number % 5 == 0 else DEFAULT_OUTPUTS
    return len(backend.run(windows, names)["is_anomaly"])


with ThreadPoolExecutor(4) as pool:
    scored = pool.map(score, range(200))
    for has_graphs in (True, False):
        open_lanes(GpuProvider.CUDA, version, config, has_graphs=has_graphs).close()
    seen["n_windows"] = sum(scored)
seen["description"] = backend.description
backend.close()
print(json.dumps(seen))  # noqa: T201 - this is what it is for
