"""Between ModelInfer of the Open Inference Protocol and arrays."""

from __future__ import annotations

from collections.abc import Mapping

from offbeat.errors import InvalidWindowError, UnknownModelError
from offbeat.inference.open_inference_pb2 import InferParameter, ModelInferRequest, ModelInferResponse
from offbeat.result import FloatArray
from offbeat.server.query import Query, Scored
from offbeat.server.tensors import INPUT, windows_from_bytes, windows_from_values

DATATYPES = {"float32": "FP32", "bool": "BOOL"}
# These would change what the answer means or where it goes, so that ignoring them would be a lie. All others are hints.
_UNSUPPORTED = frozenset(("classification", "shared_memory_region", "sequence_id", "sequence_start", "sequence_end"))


def version_of(text: str) -> int | None:
    """The version that a request names, None for the newest. Raises UnknownModelError for what cannot be one."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UnknownModelError(f"model version {text!r}; expected a positive integer, or nothing for the newest")
    return int(text)


def query_of(request: ModelInferRequest) -> Query:
    """What the request asks for.

    Raises InvalidWindowError for a tensor that is not what its fields say and for parameters that cannot be honoured,
    UnknownModelError for a version that is no number.
    """
    _check_parameters("the request", request.parameters)
    for output in request.outputs:
        _check_parameters(f"output {output.name!r}", output.parameters)
    return Query(
        model=request.model_name,
        version=version_of(request.model_version),
        id=request.id,
        windows=_windows(request),
        outputs=tuple(output.name for output in request.outputs),
    )


def response_of(scored: Scored, request_id: str) -> ModelInferResponse:
    """The answer to the request of that id, as raw contents."""
    return ModelInferResponse(
        model_name=scored.model,
        model_version=str(scored.version),
        id=request_id,
        outputs=[
            ModelInferResponse.InferOutputTensor(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
            for name, array in scored.outputs.items()
        ],
        raw_output_contents=[array.tobytes() for array in scored.outputs.values()],
    )


def _windows(request: ModelInferRequest) -> FloatArray:
    if len(request.inputs) != 1:
        raise InvalidWindowError(f"{len(request.inputs)} input tensors; expected one, {INPUT!r}")
    tensor = request.inputs[0]
    _check_parameters(f"input {tensor.name!r}", tensor.parameters)
    if tensor.name != INPUT:
        raise InvalidWindowError(f"the input is named {tensor.name!r}; expected {INPUT!r}")
    if tensor.datatype != "FP32":
        raise InvalidWindowError(f"{INPUT!r} has datatype {tensor.datatype!r}; expected 'FP32'")
    if not request.raw_input_contents:
        return _from_typed_contents(tensor)
    if len(request.raw_input_contents) != 1:
        raise InvalidWindowError(
            f"{len(request.raw_input_contents)} raw_input_contents; expected one for each input, 1"
        )
    if tensor.contents.ListFields():
        raise InvalidWindowError(f"{INPUT!r} has contents and raw_input_contents; expected one of them")
    return windows_from_bytes(request.raw_input_contents[0], tensor.shape)


def _from_typed_contents(tensor: ModelInferRequest.InferInputTensor) -> FloatArray:
    fields = [field.name for field, _ in tensor.contents.ListFields()]
    if fields not in ([], ["fp32_contents"]):
        raise InvalidWindowError(f"{INPUT!r} has {', '.join(fields)}; expected fp32_contents or raw_input_contents")
    return windows_from_values(tensor.contents.fp32_contents, tensor.shape)


def _check_parameters(where: str, parameters: Mapping[str, InferParameter]) -> None:
    if not parameters:
        return
    for name in _UNSUPPORTED.intersection(parameters):
        raise InvalidWindowError(f"{where} has parameter {name!r}, which is not supported; expected none of its kind")
