"""Between ModelInfer of the Open Inference Protocol and arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from offbeat.errors import InvalidWindowError, UnknownModelError, quoted
from offbeat.inference.open_inference_pb2 import (
    InferParameter,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from offbeat.result import FloatArray
from offbeat.server.messages.stream_format import StreamFormat
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.scoring.form import INPUT
from offbeat.server.scoring.query import Query, Scored
from offbeat.wire import field_prefix

DATATYPES = {"float32": "FP32", "bool": "BOOL"}
# These would change what the answer means or where it goes, so that ignoring them would be a lie. All others are hints.
UNSUPPORTED = frozenset(("classification", "shared_memory_region", "sequence_id", "sequence_start", "sequence_end"))


def version_of(text: str) -> int | None:
    """The version that a request names, None for the newest. Raises UnknownModelError for what cannot be one."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UnknownModelError(f"model version {quoted(text)}; expected a positive integer, or nothing for the newest")
    return int(text)


def query_of(request: ModelInferRequest) -> Query:
    """What the request asks for.

    Raises InvalidWindowError for a tensor that is not what its fields say and for parameters that cannot be honoured,
    UnknownModelError for a version that is no number.
    """
    _check_parameters("the request", request.parameters)
    for output in request.outputs:
        _check_parameters(f"output {quoted(output.name)}", output.parameters)
    tensor = _input(request)
    return Query(
        model=request.model_name,
        version=version_of(request.model_version),
        id=request.id,
        shape=tuple(tensor.shape),
        data=_data(request, tensor),
        outputs=tuple(output.name for output in request.outputs),
        priority=_count("priority", request.parameters),
        timeout_s=_count("timeout", request.parameters) * 1e-6 or None,
    )


def encoded_response(scored: Scored, request_id: str) -> bytes:
    """The answer to the request of that id, a ModelInferResponse with raw contents."""
    template = scored.form.templates.get(ModelInferResponse)
    if template is None:
        template = scored.form.templates[ModelInferResponse] = _template(scored)
    parts = [ModelInferResponse(id=request_id).SerializeToString()] if request_id else []
    for before, array in zip(template, scored.outputs.values(), strict=True):
        parts += (before, array.tobytes())
    return b"".join(parts)


def encoded_stream_refusal(request_id: str, _: int, message: str) -> bytes:
    """The refusal of the request of that id, a ModelStreamInferResponse, which has no place for a code."""
    return ModelStreamInferResponse(
        error_message=message, infer_response=ModelInferResponse(id=request_id)
    ).SerializeToString()


def _template(scored: Scored) -> list[bytes]:
    raw = ModelInferResponse.DESCRIPTOR.fields_by_name["raw_output_contents"].number
    head = ModelInferResponse(
        model_name=scored.model,
        model_version=str(scored.version),
        outputs=[
            ModelInferResponse.InferOutputTensor(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
            for name, array in scored.outputs.items()
        ],
    ).SerializeToString()
    prefixes = [field_prefix(raw, array.nbytes) for array in scored.outputs.values()]
    return [head + prefixes[0], *prefixes[1:]]


def _input(request: ModelInferRequest) -> ModelInferRequest.InferInputTensor:
    """The one input tensor, whose contents are not looked at yet."""
    if len(request.inputs) != 1:
        raise InvalidWindowError(f"{len(request.inputs)} input tensors; expected one, {INPUT!r}")
    tensor = request.inputs[0]
    _check_parameters(f"input {quoted(tensor.name)}", tensor.parameters)
    if tensor.name != INPUT:
        raise InvalidWindowError(f"the input is named {quoted(tensor.name)}; expected {INPUT!r}")
    if tensor.datatype != "FP32":
        raise InvalidWindowError(f"{INPUT!r} has datatype {quoted(tensor.datatype)}; expected 'FP32'")
    return tensor


def _data(request: ModelInferRequest, tensor: ModelInferRequest.InferInputTensor) -> bytes | FloatArray:
    raw = request.raw_input_contents
    if not raw:
        return _typed_contents(tensor)
    if len(raw) != 1:
        raise InvalidWindowError(f"{len(raw)} raw_input_contents; expected one for each input, 1")
    if tensor.contents.ListFields():
        raise InvalidWindowError(f"{INPUT!r} has contents and raw_input_contents; expected one of them")
    return raw[0]


def _typed_contents(tensor: ModelInferRequest.InferInputTensor) -> FloatArray:
    fields = [field.name for field, _ in tensor.contents.ListFields()]
    if fields not in ([], ["fp32_contents"]):
        raise InvalidWindowError(f"{INPUT!r} has {', '.join(fields)}; expected fp32_contents or raw_input_contents")
    values = tensor.contents.fp32_contents
    return np.fromiter(values, np.float32, len(values))


def _count(name: str, parameters: Mapping[str, InferParameter]) -> int:
    """The parameter as a number from 0, which stands for none. Triton's clients send it in either field."""
    # Indexing a map of messages would add the entry.
    if not parameters or name not in parameters:
        return 0
    parameter = parameters[name]
    kind = parameter.WhichOneof("parameter_choice")
    value = parameter.uint64_param if kind == "uint64_param" else parameter.int64_param
    if kind not in ("uint64_param", "int64_param") or value < 0:
        raise InvalidWindowError(
            f"parameter {name!r} is {str(parameter).strip()[:100] or 'empty'}; expected an integer from 0"
        )
    return value


def _check_parameters(where: str, parameters: Mapping[str, InferParameter]) -> None:
    if not parameters:
        return
    for name in UNSUPPORTED.intersection(parameters):
        raise InvalidWindowError(f"{where} has parameter {name!r}, which is not supported; expected none of its kind")


INFER = UnaryFormat(
    method="ModelInfer",
    kind=ModelInferRequest,
    answer_kind=ModelInferResponse,
    query_of=query_of,
    encoded=encoded_response,
    codec="infer",
)
# By this its clients know, of models that may answer a request several times, that no more will come: some wait for it on any stream.
_FINAL = {"triton_final_response": InferParameter(bool_param=True)}
# Triton keeps the order, and its client leaves the ids to its user.
INFERENCE_STREAM = StreamFormat(
    method="ModelStreamInfer",
    one=INFER,
    answer_field=ModelStreamInferResponse.DESCRIPTOR.fields_by_name["infer_response"].number,
    behind=ModelInferResponse(parameters=_FINAL).SerializeToString(),
    encoded_refusal=encoded_stream_refusal,
    keeps_order=True,
)
