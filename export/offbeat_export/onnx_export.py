"""`model.onnx`: the whole scorer in standard ONNX operators."""

from __future__ import annotations

import io
import json
import warnings

import onnx
import onnx_ir as ir
import torch
from torch import nn

from offbeat.bundle.manifest import Manifest, TensorSpec
from offbeat_export.onnx_check import check_onnx
from offbeat_export.onnx_names import rename
from offbeat_export.onnx_simplification import simplify

# The oldest set in which every operator used has its present form; it loads wherever ONNX Runtime 1.12 or newer does.
OPSET = 17
PRODUCER = "offbeat"
# What torch says on the way: the classic exporter is deprecated upstream, it warns of the rank checks inside nn.LSTM, and
# of batch sizes being fixed by an initial state, which `simplify` takes out. Parity at other sizes is what decides.
_EXPECTED_WARNINGS = (
    (DeprecationWarning, r"You are using the legacy TorchScript-based ONNX export"),
    (DeprecationWarning, r"The feature will be removed"),
    (torch.jit.TracerWarning, r"Converting a tensor to a Python boolean"),  # type: ignore[attr-defined]
    (UserWarning, r"Exporting a model to ONNX with a batch_size other than 1"),
)


def export_onnx(module: nn.Module, manifest: Manifest) -> bytes:
    """The serialised model: input `window`, outputs as the manifest lists them, batch and time as dynamic as it says.

    Real LSTM nodes, one initializer `threshold`, no external data. Raises ExportError for a graph that is not so.
    """
    model = ir.serde.deserialize_model(_trace(module, manifest))
    simplify(model)
    rename(model)
    proto = ir.serde.serialize_model(model)
    _annotate(proto, manifest)
    _describe(proto, manifest)
    check_onnx(proto, manifest)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def example_window(manifest: Manifest) -> torch.Tensor:
    """Two zero windows of the trained length: what the exporters trace with."""
    n_features = len(manifest.feature_names)
    shape = (2, n_features) if manifest.window is None else (2, manifest.window.length, n_features)
    return torch.zeros(shape)


def _trace(module: nn.Module, manifest: Manifest) -> onnx.ModelProto:
    axes = {index: axis for index, axis in enumerate(manifest.window_shape) if isinstance(axis, str)}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        for category, message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=category)
        torch.onnx.export(
            module,
            (example_window(manifest),),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=["window"],
            output_names=list(manifest.output_names),
            dynamic_axes={"window": axes},
        )
    return onnx.load_from_string(buffer.getvalue())


def _annotate(proto: onnx.ModelProto, manifest: Manifest) -> None:
    """Writes the manifest's axes onto inputs and outputs; the tracer leaves made-up names and sizes there."""
    for values, specs in ((proto.graph.input, manifest.inputs), (proto.graph.output, manifest.outputs)):
        del values[:]
        values.extend(_value_info(spec) for spec in specs)


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = onnx.TensorProto.BOOL if spec.dtype == "bool" else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(spec.name, kind, list(spec.shape))


def _describe(proto: onnx.ModelProto, manifest: Manifest) -> None:
    """Makes the file explain itself where it is found without its folder."""
    proto.producer_name, proto.producer_version = PRODUCER, manifest.training.offbeat_version
    proto.model_version, proto.doc_string = manifest.version, manifest.description
    proto.graph.name = manifest.name
    onnx.helper.set_model_props(
        proto,
        {
            "name": manifest.name,
            "version": str(manifest.version),
            "threshold": repr(manifest.threshold.value),
            "feature_names": json.dumps(manifest.feature_names),
            "architecture": manifest.architecture.kind,
            "trained_at": manifest.training.trained_at,
        },
    )
