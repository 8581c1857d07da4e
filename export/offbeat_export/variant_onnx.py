"""`model.onnx` of a variant: narrow weights in the file, float32 or integer products when it runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from offbeat.bundle.precision_record import WeightPrecision
from offbeat_export.quantised_initializer import NarrowInitializer, narrow
from offbeat_export.quantised_weight import QuantisedWeight

# Which inputs of an operator are weights.
WEIGHT_INPUTS = {"LSTM": (1, 2), "GRU": (1, 2), "Gemm": (1,), "MatMul": (1,)}
PRECISION_PROPERTY = "precision"


def store_weights(
    proto: onnx.ModelProto, precision: WeightPrecision, quantised: Iterable[QuantisedWeight]
) -> onnx.ModelProto:
    """The graph with its weights stored in `precision` and brought to float32 by `Cast`, and `Mul` where they have scales.

    Standard operators only. Every engine that folds constants does so once, when it loads: the file is smaller, the
    arithmetic and its speed are float32's. Small weights, and those that are no product of a narrow matrix and scales, stay.
    """
    stored = onnx.ModelProto()
    stored.CopyFrom(proto)
    known = tuple(quantised)
    nodes: list[onnx.NodeProto] = []
    for name, weight in _weights(stored.graph).items():
        found = narrow(weight, precision, known)
        if found is not None and _n_bytes(found) < weight.nbytes:
            remove_initializer(stored.graph, name)
            nodes += _widened(stored.graph, name, found, precision)
    prepend(stored.graph, nodes)
    return stored


def prepend(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Puts nodes before all others, in their order."""
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def remove_initializer(graph: onnx.GraphProto, name: str) -> None:
    """Takes an initializer out."""
    kept = [each for each in graph.initializer if each.name != name]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def describe_precision(proto: onnx.ModelProto, precision: WeightPrecision) -> None:
    """Says in the file's own metadata how its weights are stored."""
    properties = {each.key: each.value for each in proto.metadata_props} | {PRECISION_PROPERTY: precision}
    helper.set_model_props(proto, properties)


def _weights(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Float32 weights of rank 2 and more by name: what the operators read as such, and read in no other place."""
    arrays = {each.name: each for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    uses = [name for node in graph.node for name in node.input]
    names = [
        node.input[index]
        for node in graph.node
        for index in WEIGHT_INPUTS.get(node.op_type, ())
        if node.input[index] in arrays
    ]
    return {
        name: numpy_helper.to_array(arrays[name])
        for name in dict.fromkeys(names)
        if len(arrays[name].dims) >= 2 and uses.count(name) == names.count(name)
    }


def _n_bytes(found: NarrowInitializer) -> int:
    return found.values.nbytes + (0 if found.scale is None else found.scale.nbytes)


def _widened(
    graph: onnx.GraphProto, name: str, found: NarrowInitializer, precision: WeightPrecision
) -> list[onnx.NodeProto]:
    """Adds the narrow initializers; the nodes that make float32 `name` of them."""
    graph.initializer.append(found.tensor(f"{name}.{precision}", precision))
    if found.scale is None:
        return [_cast(f"{name}.{precision}", name)]
    graph.initializer.append(numpy_helper.from_array(found.scale, f"{name}.scale"))
    product = helper.make_node("Mul", [f"{name}.float32", f"{name}.scale"], [name], name=f"{name}/Mul")
    return [_cast(f"{name}.{precision}", f"{name}.float32"), product]


def _cast(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}/Cast", to=onnx.TensorProto.FLOAT)
