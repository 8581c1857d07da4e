"""The native core beside other engines, interleaved in one process on one thread.

    OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.peers --rtneural ../RTNeural --output result.json

ONNX Runtime takes part in any case, OpenVINO and LiteRT where they are installed, RTNeural where its folder is given.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from ctypes import CDLL
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, random_windows
from benchmarks.peers.contender import Contender
from benchmarks.peers.exports import INT8, opened
from benchmarks.peers.litert import litert_contenders
from benchmarks.peers.openvino import openvino_contenders
from benchmarks.peers.ours import NATIVE, native_contenders, onnxruntime_contender
from benchmarks.peers.race import largest_differences, race
from benchmarks.peers.rtneural import MODELS as RTNEURAL_MODELS
from benchmarks.peers.rtneural import compile_kinds, rtneural_contenders
from benchmarks.progress import tell
from offbeat.backends import create_backend
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.result import FloatArray

BATCHES = (1, 512)
_PACKAGES = ("onnxruntime", "openvino", "ai-edge-litert")


def main() -> None:
    """Writes the file after each race, so that what was measured is kept whatever happens to the next."""
    arguments = _arguments()
    content: dict[str, Any] = {"environment": environment() | {"peers": _versions()}, "results": []}
    with tempfile.TemporaryDirectory() as folder:
        rtneural = {} if arguments.rtneural is None else compile_kinds(arguments.rtneural, Path(folder))
        for model in arguments.models:
            exported = opened(model, arguments.repository or Path(folder) / "models")
            for batch in arguments.batches:
                result = measure(model, batch, exported, rtneural=rtneural, seconds=arguments.seconds)
                content["results"].append(result)
                arguments.output.write_text(json.dumps(content, indent=1) + "\n")
                tell(_line(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--batches", nargs="*", type=int, default=list(BATCHES))
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each model and batch")
    parser.add_argument("--rtneural", type=Path, metavar="FOLDER", help="a checkout of RTNeural with its modules")
    parser.add_argument(
        "--repository", type=Path, metavar="FOLDER", help="where exported models are kept for another time"
    )
    return parser.parse_args()


def measure(
    model: str, batch: int, exported: Mapping[str, ModelVersion], *, rtneural: Mapping[str, CDLL], seconds: float
) -> dict[str, Any]:
    """One race. Raises SystemExit where an engine that computes in float32 does not compute what eager does."""
    windows = random_windows(model, batch, seed=7)
    contenders = _contenders(model, exported, windows, rtneural)
    differences = largest_differences(contenders, _eager_errors(exported[model], windows))
    timed = race(contenders, NATIVE, batch, seconds)
    return {
        "model": model,
        "batch": batch,
        "contenders": {name: each | {"largest_difference": differences[name]} for name, each in timed.items()},
    }


def _contenders(
    model: str, exported: Mapping[str, ModelVersion], windows: FloatArray, rtneural: Mapping[str, CDLL]
) -> list[Contender]:
    folder = exported[model].path
    contenders = [*native_contenders(folder, windows), onnxruntime_contender(folder, windows)]
    if model + INT8 in exported:
        contenders.append(onnxruntime_contender(exported[model + INT8].path, windows, is_reduced=True))
    if find_spec("openvino") is not None:
        contenders += openvino_contenders(folder, windows)
    if find_spec("ai_edge_litert") is not None and windows.ndim == 2:
        contenders += litert_contenders(folder, windows)
    if model in RTNEURAL_MODELS:
        contenders += rtneural_contenders(rtneural, model, folder, windows)
    return contenders


def _eager_errors(exported: ModelVersion, windows: FloatArray) -> FloatArray:
    eager = create_backend(exported, BackendConfig(backend="eager", n_threads=1))
    errors: FloatArray = eager.run(windows, ["reconstruction_error"])["reconstruction_error"].astype("float32")
    eager.close()
    return errors


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _line(result: dict[str, Any]) -> str:
    figures = ", ".join(
        f"{name} {each['us']:,.1f} µs ({each['ratio']:.2f})" for name, each in result["contenders"].items()
    )
    return f"{result['model']} batch {result['batch']}: {figures}"


if __name__ == "__main__":
    main()
