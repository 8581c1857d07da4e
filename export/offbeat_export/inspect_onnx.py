"""What `offbeat inspect` says of an ONNX file that is found alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import onnx
from google.protobuf.message import DecodeError

from offbeat.bundle.model_version import MAX_FILE_BYTES
from offbeat.errors import BundleError
from offbeat.files import open_regular
from offbeat_export.graph_products import graph_products
from offbeat_export.onnx_check import THRESHOLD


def inspect_onnx(path: Path) -> dict[str, Any]:
    """The facts of an ONNX file, as plain values: its own graph and metadata; nothing is run, and no other file is read.

    Its products are those that the graph's matrix operators make, whether a window needs them or not. Raises BundleError.
    """
    proto = _load(path)
    props = {prop.key: prop.value for prop in proto.metadata_props}
    operators = Counter(node.op_type for node in proto.graph.node)
    products = graph_products(proto)
    return {
        "kind": "onnx",
        "path": str(path),
        "name": props.get("name") or proto.graph.name,
        "version": proto.model_version,
        "description": proto.doc_string,
        "architecture": {"kind": props["architecture"]} if "architecture" in props else None,
        "feature_names": _feature_names(props),
        "inputs": [_tensor(value) for value in proto.graph.input],
        "outputs": [_tensor(value) for value in proto.graph.output],
        "threshold": _threshold(proto, path),
        "multiply_adds": None if products is None else msgspec.to_builtins(products) | {"n": None},
        "metadata": props,
        "more": {
            "made by": f"{proto.producer_name} {proto.producer_version}".strip() or "-",
            "opset": ", ".join(f"{each.domain or 'ai.onnx'} {each.version}" for each in proto.opset_import),
            "nodes": ", ".join(f"{n} {name}" for name, n in operators.most_common()),
            "numbers in initializers": f"{sum(map(_size, proto.graph.initializer)):,}",
        },
    }


def _load(path: Path) -> onnx.ModelProto:
    try:
        with open_regular(path, follows_links=True) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; expected an ONNX file") from error
    if len(content) > MAX_FILE_BYTES:
        raise BundleError(f"{path}: more than {MAX_FILE_BYTES:,} bytes, which no ONNX file has")
    try:
        proto = onnx.load_from_string(content)
    except (DecodeError, ValueError) as error:
        raise BundleError(f"{path}: not an ONNX file: {error}") from error
    # Any short text is a message of protobuf, though an empty one.
    if not (proto.graph.node and proto.graph.output):
        raise BundleError(
            f"{path}: a graph of {len(proto.graph.node)} nodes; expected an ONNX file with nodes and outputs"
        )
    return proto


def _tensor(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    names = {"float": "float32", "double": "float64"}
    shape = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]
    return {"name": value.name, "dtype": names.get(dtype, dtype), "shape": shape}


def _feature_names(props: dict[str, str]) -> list[str]:
    try:
        return msgspec.json.decode(props.get("feature_names", "[]"), type=list[str])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return []


def _threshold(proto: onnx.ModelProto, path: Path) -> dict[str, Any] | None:
    for initializer in proto.graph.initializer:
        if initializer.name == THRESHOLD and not initializer.dims and initializer.data_type == onnx.TensorProto.FLOAT:
            try:
                return {"value": float(onnx.numpy_helper.to_array(initializer))}
            except (ValueError, TypeError) as error:
                raise BundleError(f"{path}: initializer {THRESHOLD} is damaged: {error}") from error
    return None


def _size(initializer: onnx.TensorProto) -> int:
    size = 1
    for dimension in initializer.dims:
        size *= dimension
    return size
