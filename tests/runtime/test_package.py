from __future__ import annotations

import subprocess
import sys

import offbeat
from offbeat import native


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in output.split()}


def test_importing_offbeat_brings_no_heavy_package() -> None:
    assert not modules_after("import offbeat") & {
        "torch",
        "onnxruntime",
        "grpc",
        "onnx",
        "pandas",
        "pyarrow",
        "typer",
        "lightning",
    }


def test_the_command_line_starts_without_torch() -> None:
    assert not modules_after("from offbeat.cli.app import _build; _build()") & {"torch", "lightning", "sklearn", "grpc"}


def test_the_public_names_are_these() -> None:
    assert offbeat.__all__ == [
        "AsyncClient",
        "Client",
        "Manifest",
        "ModelRepository",
        "ModelVersion",
        "OffbeatError",
        "ScoreResult",
        "Scorer",
        "Threshold",
        "load",
        "score_table",
    ]
    assert all(getattr(offbeat, name) is not None for name in offbeat.__all__)


def test_the_native_core_is_of_the_same_version() -> None:
    assert native.version() == offbeat.__version__


def test_the_native_core_reports_the_features_that_the_kernel_reports() -> None:
    features = native.cpu_features()
    with open("/proc/cpuinfo") as cpuinfo:  # noqa: PTH123
        flags = next((line for line in cpuinfo if line.startswith("flags")), "").split()
    if flags:
        assert {name for name, present in features.items() if present} == set(features) & set(flags)
