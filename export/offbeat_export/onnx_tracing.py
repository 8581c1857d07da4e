"""From a torch module to a raw ONNX graph, by either of torch's two exporters."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

import onnx
import onnx_ir as ir
import torch
from torch import Tensor, nn

from offbeat.bundle.manifest import Manifest
from offbeat.errors import ExportError
from offbeat_export.eager import one_line

Exporter = Literal["classic", "dynamo"]
# In this order: of two graphs as good as each other the first is taken, which loads in older runtimes.
EXPORTERS: Final[tuple[Exporter, ...]] = get_args(Exporter)
# The oldest set in which every operator used has its present form, which ONNX Runtime 1.12 loads; and the one that the
# newer exporter writes by itself, which ONNX Runtime 1.14 loads.
OPSETS: Final[dict[Exporter, int]] = {"classic": 17, "dynamo": 18}
# Sizes to trace with where any size fits. Being primes, they are no product of others, and where one stands in a graph
# whose module holds no such size, tracing left it there.
_PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113)
# Where the newer exporter writes down in which module a node was, outermost first, and the operation last.
_SCOPES = "pkg.torch.onnx.name_scopes"


def traced_sizes(module: nn.Module, manifest: Manifest) -> dict[str, int]:
    """A size for each dynamic axis of the window, `batch` and `time`, that nothing else in the module has."""
    own = {size for tensor in module.state_dict().values() for size in tensor.shape}
    own |= {axis for axis in manifest.window_shape if isinstance(axis, int)}
    own |= {value for value in manifest.architecture.settings.values() if isinstance(value, int)}
    free = iter(prime for prime in _PRIMES if prime not in own)
    return {axis: next(free) for axis in manifest.window_shape if isinstance(axis, str)}


def example_window(module: nn.Module, manifest: Manifest) -> Tensor:
    """Zero windows of the sizes that the exporters trace with."""
    sizes = traced_sizes(module, manifest)
    return torch.zeros([sizes[axis] if isinstance(axis, str) else axis for axis in manifest.window_shape])


def trace(module: nn.Module, manifest: Manifest, exporter: Exporter) -> ir.Model:
    """The graph as torch writes it: input `window`, the manifest's outputs, nodes named by the module they were in.

    Raises ExportError where torch cannot.
    """
    with quiet(), torch.inference_mode():
        try:
            return _trace_classic(module, manifest) if exporter == "classic" else _trace_dynamo(module, manifest)
        except (RuntimeError, torch.onnx.OnnxExporterError) as error:
            raise ExportError(f"torch's {exporter} exporter refuses the model: {one_line(error)}") from error


def dynamic_axes(manifest: Manifest) -> dict[int, str]:
    """Names of the window's dynamic axes by their index."""
    return {index: axis for index, axis in enumerate(manifest.window_shape) if isinstance(axis, str)}


def _trace_classic(module: nn.Module, manifest: Manifest) -> ir.Model:
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        (example_window(module, manifest),),
        buffer,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=OPSETS["classic"],
        input_names=["window"],
        output_names=list(manifest.output_names),
        dynamic_axes={"window": dynamic_axes(manifest)},
    )
    return ir.serde.deserialize_model(onnx.load_from_string(buffer.getvalue()))


def _trace_dynamo(module: nn.Module, manifest: Manifest) -> ir.Model:
    """The newer exporter. Outside of inference mode torch unrolls an LSTM over the traced steps.

    Its own optimisation is left out: it folds a threshold that is 1 out of the graph.
    """
    program = torch.onnx.export(
        module,
        (example_window(module, manifest),),
        dynamo=True,
        opset_version=OPSETS["dynamo"],
        input_names=["window"],
        output_names=list(manifest.output_names),
        dynamic_shapes=(dict.fromkeys(dynamic_axes(manifest), torch.export.Dim.DYNAMIC),),
        optimize=False,
        verbose=False,
    )
    if program is None:
        raise ExportError("torch's dynamo exporter gives no graph")
    model: ir.Model = program.model
    for number, node in enumerate(model.graph):
        node.name = _scoped_name(node)
        for index, output in enumerate(node.outputs):
            # torch gives values the names of operations, which may be those of weights: `mean`.
            if not output.is_graph_output():
                output.name = f"value_{number}_{index}"
    return model


def _scoped_name(node: ir.Node) -> str:
    """`/model/encoder/LSTM`, as the classic exporter names nodes."""
    # A Python list of strings, the last of which is the operation's own name.
    scopes = node.metadata_props.get(_SCOPES, "[]")
    modules = [part.strip(" '\"") for part in scopes.strip("[]").split(",")][:-1]
    innermost = modules[-1] if modules and not modules[-1].startswith("_") else ""
    outer, _, inner = innermost.partition(".")
    return "/".join(["", *(part for part in (outer, inner) if part), node.op_type])


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps to ourselves what the exporters say of torch's own code; the graph and its parity decide what is good."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
