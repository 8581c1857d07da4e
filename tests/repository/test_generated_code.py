from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ("offbeat/v1/scoring.proto", "offbeat/inference/open_inference.proto")


@pytest.mark.parametrize("proto", PROTOS)
def test_the_generated_code_is_that_of_the_protos(proto: str, tmp_path: Path) -> None:
    arguments = [f"-I{ROOT / 'proto'}", *(f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python"))]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments, proto], check=True)
    for generated in tmp_path.rglob("*_pb2*"):
        assert generated.read_text() == (ROOT / "runtime" / generated.relative_to(tmp_path)).read_text()
