"""Graphs with digests that fit, written by somebody who means harm: always an error that names the file, and no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from offbeat.backends import create_backend
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import OffbeatError
from offbeat.scorer import Scorer
from tests.runtime import folders

CONFIG = BackendConfig(backend="onnxruntime", device="cpu")
Change = Callable[[onnx.ModelProto], None]


def folder_with(tmp_path: Path, change: Change) -> Path:
    proto = onnx.load_from_string(folders.onnx_bytes())
    change(proto)
    return folders.write_version(tmp_path, onnx=proto.SerializeToString())


def outside(location: str) -> Change:
    """The scale is read from another file."""

    def change(proto: onnx.ModelProto) -> None:
        scale = next(each for each in proto.graph.initializer if each.name == "scale")
        scale.ClearField("raw_data")
        scale.data_location = TensorProto.EXTERNAL
        entry = scale.external_data.add()
        entry.key, entry.value = "location", location

    return change


def absurd_shape(proto: onnx.ModelProto) -> None:
    scale = next(each for each in proto.graph.initializer if each.name == "scale")
    del scale.dims[:]
    scale.dims.extend([10**9, 10**9])


def absurd_memory(proto: onnx.ModelProto) -> None:
    """The graph asks for 40 TB while it runs."""
    proto.graph.initializer.append(numpy_helper.from_array(np.array([10**13]), "size"))
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["vast"]),
        helper.make_node("ReduceSum", ["vast"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["mean", "nothing"], ["other_mean"]),
    ]
    proto.graph.node[0].input[1] = "other_mean"
    for node in reversed(nodes):
        proto.graph.node.insert(0, node)


def no_text(proto: onnx.ModelProto) -> None:
    """Marks an output's name, to be made no text in the bytes."""
    for values in (proto.graph.output, proto.graph.node):
        for each in values:
            if isinstance(each, onnx.ValueInfoProto) and each.name == "step_error":
                each.name = "step_errXX"
            elif isinstance(each, onnx.NodeProto) and each.output[0] == "step_error":
                each.output[0] = "step_errXX"


@pytest.mark.parametrize("location", ["scale.bin", "../scale.bin", "/etc/hostname", "../../../../etc/passwd"])
def test_a_graph_that_reads_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "scale.bin").write_bytes(folders.SCALE.tobytes())
    monkeypatch.chdir(tmp_path / "here")
    version = ModelVersion.open(folder_with(tmp_path / "models", outside(location)))
    with pytest.raises(OffbeatError, match=r"model\.onnx: ONNX Runtime refuses it"):
        create_backend(version, CONFIG)


@pytest.mark.parametrize("change", [absurd_shape, absurd_memory])
def test_absurd_sizes_are_refused_and_take_no_memory(tmp_path: Path, change: Change) -> None:
    version = ModelVersion.open(folder_with(tmp_path, change))
    with pytest.raises(OffbeatError, match=r"ONNX") as caught:
        Scorer.open(version, CONFIG)
    assert str(caught.value).startswith(str(version.path))


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    proto = onnx.load_from_string(folders.onnx_bytes())
    no_text(proto)
    content = proto.SerializeToString().replace(b"step_errXX", b"step_err\xff\xfe")
    version = ModelVersion.open(folders.write_version(tmp_path, onnx=content))
    with pytest.raises(OffbeatError, match=r"model\.onnx: "):
        create_backend(version, CONFIG)


def test_a_graph_that_is_refused_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    version = ModelVersion.open(folder_with(tmp_path, absurd_shape))
    with pytest.raises(OffbeatError):
        create_backend(version, CONFIG)
    assert capfd.readouterr() == ("", "")
