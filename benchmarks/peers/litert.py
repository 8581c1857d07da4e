"""LiteRT on tables: a flatbuffer of fully connected layers with fused ReLU, made here from the layer plan.

Normalisation and batch normalisation are folded into the layers, as its converter would. The reconstruction is all that it
computes: the error and the score are left out, which favours it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.contender import Contender
from benchmarks.peers.plan import read_plan
from offbeat.result import FloatArray


@dataclass(kw_only=True)
class Layer:
    """weight [output, input] and bias [output], and whether a ReLU follows."""

    weight: FloatArray
    bias: FloatArray
    has_relu: bool = False


def litert_contenders(folder: Path, windows: FloatArray) -> Iterator[Contender]:
    """One thread, XNNPACK where the wheel has it, which is its default."""
    content = flatbuffer(folded_layers(folder), len(windows))
    interpreter = import_module("ai_edge_litert.interpreter").Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], windows)
    output = interpreter.get_output_details()[0]["index"]

    def errors() -> FloatArray:
        squared: FloatArray = np.square(interpreter.get_tensor(output) - windows).mean(axis=1)
        return squared

    yield Contender(name="litert", call=interpreter.invoke, errors=errors)


def folded_layers(folder: Path) -> list[Layer]:
    """The plan as fully connected layers alone, of normalised rows from raw ones."""
    plan, tensors = read_plan(folder)
    layers: list[Layer] = []
    for step in plan:
        if step["kind"] == "linear":
            layers.append(Layer(weight=tensors[step["weight"]], bias=tensors[step["bias"]]))
        elif step["kind"] == "batch_norm":
            factor = tensors[step["weight"]] / np.sqrt(tensors[step["variance"]] + np.float32(step["epsilon"]))
            last = layers[-1]
            last.bias = (last.bias - tensors[step["mean"]]) * factor + tensors[step["bias"]]
            last.weight = last.weight * factor[:, None]
        elif step["kind"] == "relu":
            layers[-1].has_relu = True
        else:
            raise SystemExit(f"{folder}: a layer of kind {step['kind']}; expected linear, batch_norm or relu")
    first = layers[0]
    first.weight = first.weight / tensors["normalisation.scale"]
    first.bias = first.bias - first.weight @ tensors["normalisation.mean"]
    return layers


def flatbuffer(layers: Sequence[Layer], batch: int) -> bytes:
    """A .tflite of the layers, for batches of one size."""
    schema: Any = import_module("ai_edge_litert.schema_py_generated")
    graph, model = schema.SubGraphT(), schema.ModelT()
    model.version, model.buffers, model.subgraphs = 3, [schema.BufferT()], [graph]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes = [code]
    graph.tensors, graph.operators = [], []

    def add(name: str, shape: tuple[int, ...], values: FloatArray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), schema.TensorType.FLOAT32, 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    last = add("window", (batch, layers[0].weight.shape[1]))
    graph.inputs = [last]
    for index, layer in enumerate(layers):
        constants = [add(f"{name}_{index}", each.shape, each) for name, each in _constants(layer)]
        result = add(f"output_{index}", (batch, len(layer.bias)))
        graph.operators.append(_fully_connected(schema, [last, *constants], result, layer.has_relu))
        last = result
    graph.outputs = [last]
    builder = import_module("flatbuffers").Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _constants(layer: Layer) -> tuple[tuple[str, FloatArray], ...]:
    return ("weight", layer.weight), ("bias", layer.bias)


def _fully_connected(schema: Any, inputs: list[int], output: int, has_relu: bool) -> Any:
    options, operator = schema.FullyConnectedOptionsT(), schema.OperatorT()
    kinds = schema.ActivationFunctionType
    options.fusedActivationFunction = kinds.RELU if has_relu else kinds.NONE
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, [output]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.FullyConnectedOptions, options
    return operator
