"""`model.onnx`: the whole scorer in standard ONNX operators."""

from __future__ import annotations

import json

import msgspec
import onnx
import onnx_ir as ir
from torch import nn

from offbeat.bundle.manifest import Manifest, TensorSpec
from offbeat_export.onnx_check import check_onnx
from offbeat_export.onnx_names import rename
from offbeat_export.onnx_simplification import simplify
from offbeat_export.onnx_tracing import Exporter, trace
from offbeat_export.parity_cases import longest

PRODUCER = "offbeat"


def export_onnx(module: nn.Module, manifest: Manifest, exporter: Exporter = "classic") -> bytes:
    """The serialised model: input `window`, outputs as the manifest lists them, batch and time as dynamic as it says.

    Real LSTM nodes, one initializer `threshold`, no external data. Raises ExportError for a graph that is not so.
    """
    model = trace(module, manifest, exporter)
    simplify(model, longest(manifest.window))
    rename(model, module.state_dict())
    proto = ir.serde.serialize_model(model)
    _annotate(proto, manifest)
    describe_onnx(proto, manifest)
    check_onnx(proto, manifest)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def describe_onnx(proto: onnx.ModelProto, manifest: Manifest) -> None:
    """Makes the file explain itself where it is found without its folder: what the manifest says, in its properties."""
    proto.producer_name, proto.producer_version = PRODUCER, manifest.training.offbeat_version
    proto.model_version, proto.doc_string = manifest.version, manifest.description
    proto.graph.name = manifest.name
    del proto.metadata_props[:]
    onnx.helper.set_model_props(
        proto,
        {
            "name": manifest.name,
            "version": str(manifest.version),
            "licence": manifest.licence,
            "threshold": repr(manifest.threshold.value),
            "feature_names": json.dumps(manifest.feature_names),
            "architecture": manifest.architecture.kind,
            "trained_at": manifest.training.trained_at,
            "provenance": msgspec.json.encode(manifest.training).decode(),
        },
    )


def _annotate(proto: onnx.ModelProto, manifest: Manifest) -> None:
    """Writes the manifest's axes onto inputs and outputs; the tracer leaves made-up names and sizes there."""
    for values, specs in ((proto.graph.input, manifest.inputs), (proto.graph.output, manifest.outputs)):
        del values[:]
        values.extend(_value_info(spec) for spec in specs)


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = onnx.TensorProto.BOOL if spec.dtype == "bool" else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(spec.name, kind, list(spec.shape))
