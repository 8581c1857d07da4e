"""The files of a version with another threshold in them and every other number as it was, bit for bit."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import torch

from offbeat.bundle import Golden, Manifest, ModelVersion
from offbeat.bundle.model_version import GOLDEN, MODEL_ONNX, MODEL_SAFETENSORS, MODEL_TORCHSCRIPT
from offbeat.errors import ExportError
from offbeat_export.eager import one_line
from offbeat_export.onnx_check import THRESHOLD, check_onnx
from offbeat_export.onnx_export import describe_onnx
from offbeat_export.safetensors_export import import_safetensors
from offbeat_export.torch_program_export import MODEL_TORCH_PROGRAM, export_torch_program
from offbeat_export.torchscript_export import expected_deprecations, load_torchscript

# The operators that read the threshold: of the score and of the decision.
_READERS = {"aten::div", "aten::gt"}


def recalibrated_files(version: ModelVersion, manifest: Manifest) -> dict[str, bytes]:
    """Every file that `version` lists, by name, with the threshold of `manifest`. Raises ExportError, BundleError."""
    makers: Mapping[str, Callable[[bytes], bytes]] = {
        MODEL_ONNX: lambda content: _onnx(content, manifest),
        MODEL_TORCHSCRIPT: lambda content: _torchscript(content, version.manifest, manifest),
        MODEL_TORCH_PROGRAM: lambda _: _torch_program(version, manifest),
        MODEL_SAFETENSORS: lambda content: _safetensors(content, manifest),
        GOLDEN: lambda content: _golden(Golden.from_npz(content, version.manifest, GOLDEN), manifest),
    }
    if unknown := sorted(set(version.manifest.files) - set(makers)):
        raise ExportError(
            f"{version.path}: {', '.join(unknown)} may hold the threshold in a way that is not known; "
            f"expected no other files than {', '.join(makers)}: export the checkpoint anew"
        )
    if MODEL_SAFETENSORS not in version.manifest.files:
        raise ExportError(f"{version.path}: no {MODEL_SAFETENSORS}, against which parity is measured")
    return {name: makers[name](version.read(name)) for name in version.manifest.files}


def _onnx(content: bytes, manifest: Manifest) -> bytes:
    proto = onnx.load_from_string(content)
    for initializer in proto.graph.initializer:
        if initializer.name == THRESHOLD:
            initializer.CopyFrom(onnx.numpy_helper.from_array(_scalar(manifest), THRESHOLD))
    before = {prop.key: prop.value for prop in proto.metadata_props}
    describe_onnx(proto, manifest)
    # A variant says more of itself than its float32 version does.
    now = {prop.key: prop.value for prop in proto.metadata_props}
    onnx.helper.set_model_props(proto, before | now)
    # Operators that the version was exported with are allowed in it.
    check_onnx(proto, manifest, {opset.domain for opset in proto.opset_import})
    rewritten: bytes = proto.SerializeToString(deterministic=True)
    return rewritten


def _torchscript(content: bytes, old: Manifest, manifest: Manifest) -> bytes:
    """Freezing made the threshold a constant of the graph: the one scalar that decision and score both read."""
    module = load_torchscript(content, MODEL_TORCHSCRIPT, torch.device("cpu"))
    buffer = io.BytesIO()
    try:
        with expected_deprecations():
            readers: list[str] = []
            for constant in _threshold_constants(module, old.threshold.value):
                readers += [use.user.kind() for use in constant.output().uses()]
                constant.t("value").fill_(manifest.threshold.value)
            if sorted(readers) != sorted(_READERS):
                raise ExportError(
                    f"{MODEL_TORCHSCRIPT}: the threshold {old.threshold.value!r} is read by {sorted(readers)}; "
                    f"expected {sorted(_READERS)}"
                )
            torch.jit.save(module, buffer)
    except RuntimeError as error:
        raise ExportError(f"{MODEL_TORCHSCRIPT}: torch refuses it: {one_line(error)}") from error
    return buffer.getvalue()


def _threshold_constants(module: torch.nn.Module, value: float) -> list[torch._C.Node]:
    """Scalar tensor constants of that value which the decision or the score reads, and nothing else."""
    return [
        node
        for node in module.graph.nodes()  # type: ignore[union-attr,operator]
        if node.kind() == "prim::Constant"
        and node.hasAttribute("value")
        and node.kindOf("value") == "t"
        and node.t("value").dim() == 0
        and float(node.t("value")) == value
        and {use.user.kind() for use in node.output().uses()} <= _READERS
    ]


def _torch_program(version: ModelVersion, manifest: Manifest) -> bytes:
    """Exported anew from the stored weights, which are the same numbers: a program folds its constants where it likes."""
    content = _safetensors(version.read(MODEL_SAFETENSORS), manifest)
    return export_torch_program(import_safetensors(content, manifest, MODEL_SAFETENSORS), manifest)


def _safetensors(content: bytes, manifest: Manifest) -> bytes:
    """Puts four bytes in the place of four: header and offsets stay."""
    start = 8 + int.from_bytes(content[:8], "little")
    entry = json.loads(content[8:start])[THRESHOLD]
    begin, end = entry["data_offsets"]
    if (entry["dtype"], entry["shape"], end - begin) != ("F32", [], 4):
        raise ExportError(f"{MODEL_SAFETENSORS}: {THRESHOLD} is {entry}; expected one scalar of type F32")
    return content[: start + begin] + _scalar(manifest).tobytes() + content[start + end :]


def _golden(golden: Golden, manifest: Manifest) -> bytes:
    """Score and decision follow from the error; in float32, as the graph computes them."""
    error, threshold = golden.outputs["reconstruction_error"].astype(np.float32), _scalar(manifest)
    outputs = golden.outputs | {
        "anomaly_score": np.clip(error / threshold * np.float32(0.5), np.float32(0), np.float32(1)),
        "is_anomaly": error > threshold,
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, window=golden.window, **outputs)
    return buffer.getvalue()


def _scalar(manifest: Manifest) -> np.ndarray[tuple[()], np.dtype[np.float32]]:
    return np.array(manifest.threshold.value, "<f4")
