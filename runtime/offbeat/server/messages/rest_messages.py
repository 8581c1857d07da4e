"""Between the Open Inference Protocol's JSON, with or without binary tensors, and its messages.

The JSON is KServe's (https://kserve.github.io/website, Open Inference Protocol, REST), the binary form Triton's extension: behind the
JSON, whose length a header tells, lie the tensors' bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from msgspec import Raw, Struct

from offbeat.errors import InvalidWindowError, quoted
from offbeat.inference import open_inference_pb2 as pb
from offbeat.result import FloatArray
from offbeat.server.messages.inference_messages import DATATYPES, UNSUPPORTED
from offbeat.server.scoring.query import Scored

# A parsed number takes sixteen times the room of the shortest one: larger tensors come as binary ones.
MAX_JSON_BYTES = 8 * 2**20
_BINARY_SIZE, _BINARY, _BINARY_BY_DEFAULT = "binary_data_size", "binary_data", "binary_data_output"
_BEGINS_NESTED = re.compile(rb"\s*\[\s*\[")
_NESTED: dict[int, Any] = {2: list[list[float]], 3: list[list[list[float]]]}
_Parameters = dict[str, bool | int | float | str]
# Null is as good as nothing: clients send many that write out every field of a request.
_Sent = dict[str, bool | int | float | str | None] | None
Kind = TypeVar("Kind")


class _Input(Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: _Sent = None
    data: Raw = Raw()


class _Output(Struct):
    name: str
    parameters: _Sent = None


class _Infer(Struct):
    inputs: list[_Input]
    outputs: list[_Output] | None = None
    parameters: _Sent = None
    id: str | None = None


class _Load(Struct):
    parameters: dict[str, str | bool] = {}


class _Index(Struct):
    ready: bool = False


class RestRequest(Struct, frozen=True, kw_only=True, eq=False):
    """A request as a message, and which of its outputs are to be binary: `binary` by name, the others by `is_binary`."""

    message: pb.ModelInferRequest
    binary: dict[str, bool]
    is_binary: bool


def infer_request(model: str, version: str, body: bytes, n_json: int) -> RestRequest:
    """The request in a body whose first `n_json` bytes are JSON. Raises InvalidWindowError."""
    asked = _decoded(body[:n_json], _Infer)
    parameters = _given(asked.parameters)
    outputs = {output.name: _given(output.parameters) for output in asked.outputs or ()}
    try:
        message = pb.ModelInferRequest(model_name=model, model_version=version, id=asked.id)
        _put_parameters(message.parameters, parameters, _BINARY_BY_DEFAULT)
        place = n_json
        for tensor in asked.inputs:
            added = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            own = _given(tensor.parameters)
            _put_parameters(added.parameters, own, _BINARY_SIZE)
            data, place = _data(tensor, own, body, place)
            message.raw_input_contents.append(data)
        for output in asked.outputs or ():
            _put_parameters(message.outputs.add(name=output.name).parameters, outputs[output.name], _BINARY)
    except ValueError as error:
        if isinstance(error, InvalidWindowError):
            raise
        raise InvalidWindowError(f"a value that no message can hold: {error}") from error
    if place != len(body):
        raise InvalidWindowError(f"{len(body) - place} bytes behind the last tensor; expected none")
    is_binary = _is_true("the request", parameters, _BINARY_BY_DEFAULT, False)
    return RestRequest(
        message=message,
        binary={name: _is_true(f"output {quoted(name)}", given, _BINARY, is_binary) for name, given in outputs.items()},
        is_binary=is_binary,
    )


def infer_response(request: RestRequest, scored: Scored) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON where binary tensors follow."""
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for name, array in scored.outputs.items():
        told: dict[str, Any] = {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": array.shape}
        if request.binary.get(name, request.is_binary):
            binary.append(array.tobytes())
            told["parameters"] = {_BINARY_SIZE: array.nbytes}
        else:
            told["data"] = array.ravel().tolist()
        outputs.append(told)
    answer: dict[str, Any] = {"model_name": scored.model, "model_version": str(scored.version)}
    if request.message.id:
        answer["id"] = request.message.id
    head = msgspec.json.encode(answer | {"outputs": outputs})
    return (b"".join((head, *binary)), len(head)) if binary else (head, None)


def put_parameters(request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest, body: bytes) -> None:
    """Puts the parameters in the body of a request to load or unload into its message. Raises InvalidWindowError."""
    for name, value in (_decoded(body, _Load).parameters if body else {}).items():
        parameter = request.parameters[name]
        if isinstance(value, bool):
            parameter.bool_param = value
        else:
            parameter.string_param = value


def index_request(body: bytes) -> pb.RepositoryIndexRequest:
    """The message that asks for every version, or those that are ready alone. Raises InvalidWindowError."""
    return pb.RepositoryIndexRequest(ready=bool(body) and _decoded(body, _Index).ready)


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON's values, with the names of the definition; numbers stay numbers, also those of 64 bits."""
    told: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            told[field.name] = {key: _plain(field, value[key]) for key in value}
        elif field.is_repeated:
            told[field.name] = [_plain(field, each) for each in value]
        else:
            told[field.name] = _plain(field, value)
    return told


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Message):
        return plain(value)
    return field.enum_type.values_by_number[value].name if field.enum_type is not None else value


def _decoded(data: bytes, kind: type[Kind]) -> Kind:
    if len(data) > MAX_JSON_BYTES:
        raise InvalidWindowError(
            f"{len(data)} bytes of JSON; expected at most {MAX_JSON_BYTES}: send tensors as binary data, or fewer windows at once"
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidWindowError(f"{len(data)} bytes that are no such request in JSON: {error}") from error


def _given(sent: _Sent) -> _Parameters:
    return {name: value for name, value in sent.items() if value is not None} if sent else {}


def _data(tensor: _Input, parameters: _Parameters, body: bytes, place: int) -> tuple[bytes, int]:
    """The tensor's bytes, and where the next binary one begins."""
    size = parameters.get(_BINARY_SIZE)
    if size is None:
        # Another type is refused with all that is wrong about it, and so is a tensor that lies elsewhere.
        is_read = tensor.datatype == DATATYPES["float32"] and UNSUPPORTED.isdisjoint(parameters)
        return _values(tensor) if is_read else b"", place
    if bytes(tensor.data) not in (b"", b"null"):
        raise InvalidWindowError(f"{quoted(tensor.name)} has data and {_BINARY_SIZE}; expected one of them")
    if type(size) is not int or not 0 <= size <= len(body) - place:
        raise InvalidWindowError(
            f"{quoted(tensor.name)} has {_BINARY_SIZE} {size!r:.100}; expected 0 to the {len(body) - place} bytes that are there"
        )
    return body[place : place + size], place + size


def _is_true(where: str, parameters: _Parameters, name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise InvalidWindowError(f"{where} has {name} {value!r:.100}; expected true or false")
    return value


def _values(tensor: _Input) -> bytes:
    """The numbers in JSON, flat or nested, as little-endian float32."""
    if bytes(tensor.data) in (b"", b"null"):
        raise InvalidWindowError(f"{quoted(tensor.name)} has no data; expected numbers, or {_BINARY_SIZE}")
    flat = list[float]
    kind = _NESTED.get(len(tensor.shape), flat) if _BEGINS_NESTED.match(tensor.data) else flat
    try:
        values = msgspec.json.decode(tensor.data, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidWindowError(
            f"data of {quoted(tensor.name)}: {error}; expected numbers, flat or nested by shape"
        ) from error
    if kind is flat:
        return _array(values).tobytes()
    try:
        array = _array(values)
    except ValueError as error:
        raise InvalidWindowError(
            f"data of {quoted(tensor.name)} has rows of several lengths; expected {tensor.shape}"
        ) from error
    if list(array.shape) != tensor.shape:
        raise InvalidWindowError(
            f"data of {quoted(tensor.name)} is of shape {list(array.shape)}; expected {tensor.shape}"
        )
    return array.tobytes()


def _array(values: Any) -> FloatArray:
    # What is too large for float32 becomes infinite, and is refused with the other infinities.
    with np.errstate(over="ignore"):
        return np.array(values, "<f4")


def _put_parameters(target: Any, parameters: Mapping[str, bool | int | float | str], own: str) -> None:
    """Puts all but REST's own parameter into a message's. Raises ValueError."""
    for name, value in parameters.items():
        if name == own:
            continue
        if isinstance(value, bool):
            target[name].bool_param = value
        elif isinstance(value, int):
            target[name].int64_param = value
        elif isinstance(value, float):
            target[name].double_param = value
        else:
            target[name].string_param = value
