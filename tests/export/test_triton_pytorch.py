from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from offbeat.bundle import ModelRepository
from offbeat.errors import ExportError
from offbeat_export.eager import evaluate
from offbeat_export.exporter import export_checkpoint
from offbeat_export.triton_pytorch import TritonPyTorchBackend, export_triton_pytorch, triton_pytorch_config
from tests.export.checkpoints import CHECKPOINTS, table_checkpoint
from tests.export.scorers import scorer_of

NAMES = ("lstm, 5 features, 1 layer", "repeat-classifier", "repeat-forecast", "flexible, fewer repeats", "variational")
# In a process of its own: tritonclient and offbeat both register inference.ModelConfig with protobuf.
_PARSE = """
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
texts = json.load(sys.stdin)
configs = [text_format.Parse(text, model_config_pb2.ModelConfig()) for text in texts]
print(json.dumps([json_format.MessageToDict(config, preserving_proto_field_name=True) for config in configs]))
"""


def test_tritons_own_protobuf_reads_tensors_that_the_module_takes_and_gives() -> None:
    pytest.importorskip("tritonclient")
    scorers = [scorer_of(CHECKPOINTS[name]()) for name in NAMES]
    texts = json.dumps([triton_pytorch_config(manifest) for _, manifest in scorers])
    command = [sys.executable, "-W", "ignore", "-c", _PARSE]
    done = subprocess.run(command, input=texts, capture_output=True, text=True, check=True)
    types = {torch.float32: "TYPE_FP32", torch.bool: "TYPE_BOOL"}
    for (module, manifest), config in zip(scorers, json.loads(done.stdout), strict=True):
        assert config["name"] == f"{manifest.name}-pytorch"
        assert (config["backend"], config["platform"]) == ("pytorch", "pytorch_libtorch")
        assert [each["name"] for each in config["input"]] == ["INPUT__0"]
        sizes = [int(size) for size in config["input"][0]["dims"]]
        triton = torch.jit.load(io.BytesIO(export_triton_pytorch(module, manifest)))
        with torch.inference_mode():
            outputs = triton(torch.zeros(3, *(5 if size == -1 else size for size in sizes)))
        assert isinstance(outputs, tuple)
        assert [each["name"] for each in config["output"]] == [f"OUTPUT__{index}" for index in range(len(outputs))]
        for declared, output in zip(config["output"], outputs, strict=True):
            assert declared["data_type"] == types[output.dtype]
            dims = [int(size) for size in declared["dims"]]
            assert len(dims) == output.dim() - 1
            assert all(size in (-1, seen) for size, seen in zip(dims, output.shape[1:], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_module_scores_as_eager_does(name: str) -> None:
    checkpoint = CHECKPOINTS[name]()
    module, manifest = scorer_of(checkpoint)
    backend = TritonPyTorchBackend(export_triton_pytorch(module, manifest), manifest)
    window = checkpoint.validation_windows.numpy()
    eager, seen = evaluate(module, window, manifest.output_names), backend.run(window, manifest.output_names)
    for output in manifest.output_names:
        assert seen[output].shape == eager[output].shape
        np.testing.assert_allclose(seen[output], eager[output], rtol=1e-5, atol=1e-5)


def test_an_export_writes_the_same_version_to_both_repositories(tmp_path: Path) -> None:
    report = export_checkpoint(
        table_checkpoint(),
        tmp_path / "models",
        name="t",
        version=3,
        exporter="classic",
        triton_pytorch=tmp_path / "torch",
    )
    assert report.triton_folder == tmp_path / "torch" / "t-pytorch" / "3"
    assert sorted(str(path.relative_to(tmp_path / "torch")) for path in (tmp_path / "torch").rglob("*")) == [
        "t-pytorch",
        "t-pytorch/3",
        "t-pytorch/3/model.pt",
        "t-pytorch/config.pbtxt",
    ]
    assert "triton-pytorch" in {each.format for each in report.parity}
    assert "triton-pytorch" not in report.manifest.parity.formats
    assert ModelRepository(tmp_path / "models").names() == ("t",)


def test_a_version_that_triton_has_already_leaves_both_repositories_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "torch" / "t-pytorch" / "1").mkdir(parents=True)
    with pytest.raises(ExportError, match="version 1 exists"):
        export_checkpoint(
            table_checkpoint(), tmp_path / "models", name="t", exporter="classic", triton_pytorch=tmp_path / "torch"
        )
    assert list((tmp_path / "models").iterdir()) == []


def test_a_second_repository_that_cannot_be_written_is_refused_before_anything_is_exported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    steps: list[str] = []
    with pytest.raises(ExportError, match="file: cannot be written"):
        export_checkpoint(
            table_checkpoint(), tmp_path / "models", name="t", triton_pytorch=tmp_path / "file", announce=steps.append
        )
    assert steps == ["reading the checkpoint"]
    assert not list((tmp_path / "models").iterdir())
