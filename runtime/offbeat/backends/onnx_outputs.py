"""An ONNX file with fewer outputs.

A node that only other outputs need may keep the whole graph from being captured: `step_error` divides by the number of steps,
which is computed on the CPU from a shape. ONNX Runtime itself keeps nodes that no output needs.

Field numbers are those of onnx.proto, the encoding is Protocol Buffers'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from offbeat.errors import BundleError
from offbeat.wire import field_prefix

_GRAPH = 7  # of ModelProto
_NODE, _OUTPUT = 1, 12  # of GraphProto
_NAME = 1  # of ValueInfoProto
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5  # of NodeProto
_SUBGRAPHS = (6, 11)  # of AttributeProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    number: int
    kind: int
    start: int  # of its tag
    content: int  # of what follows tag and length
    end: int


def keep_outputs(model: bytes, names: Collection[str]) -> bytes:
    """The model with the graph outputs of these names alone, and the nodes that they need.

    A model with subgraphs, whose needs are not listed, is given back as it is. Raises BundleError for bytes that are no ONNX file.
    """
    parts = []
    for field in _fields(model):
        if (field.number, field.kind) != (_GRAPH, _BYTES):
            parts.append(model[field.start : field.end])
            continue
        graph = model[field.content : field.end]
        parts.append(_encoded(_GRAPH, graph if _has_subgraphs(graph) else _pruned(graph, names)))
    return b"".join(parts)


def _pruned(graph: bytes, names: Collection[str]) -> bytes:
    """Nodes stand in an order in which each comes after those it needs, so one walk from the end meets all that are needed."""
    needed = set(names)
    kept = []
    for field in reversed(list(_fields(graph))):
        content = graph[field.content : field.end]
        if field.number == _OUTPUT:
            is_kept = not _texts(content, _NAME).isdisjoint(names)
        elif field.number == _NODE:
            is_kept = not needed.isdisjoint(_texts(content, _NODE_OUTPUT))
            needed.update(_texts(content, _NODE_INPUT) if is_kept else ())
        else:
            is_kept = True
        if is_kept:
            kept.append(graph[field.start : field.end])
    return b"".join(reversed(kept))


def _has_subgraphs(graph: bytes) -> bool:
    return any(
        part.number in _SUBGRAPHS
        for node in _parts(graph, _NODE)
        for attribute in _parts(node, _NODE_ATTRIBUTE)
        for part in _fields(attribute)
    )


def _parts(message: bytes, number: int) -> Iterator[bytes]:
    for field in _fields(message):
        if (field.number, field.kind) == (number, _BYTES):
            yield message[field.content : field.end]


def _texts(message: bytes, number: int) -> set[str]:
    return {part.decode(errors="replace") for part in _parts(message, number)} - {""}


def _fields(message: bytes) -> Iterator[_Field]:
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _BYTES:
            length, position = _varint(message, position)
            end = position + length
        elif kind == _VARINT:
            end = _varint(message, position)[1]
        elif kind in (_FIXED64, _FIXED32):
            end = position + (8 if kind == _FIXED64 else 4)
        else:
            raise BundleError(f"byte {start} of an ONNX file begins a field of kind {kind}; expected 0, 1, 2 or 5")
        if end > len(message):
            raise BundleError(
                f"byte {start} of an ONNX file begins a field that ends {end - len(message)} bytes behind it"
            )
        yield _Field(tag >> 3, kind, start, position, end)
        position = end


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    raise BundleError(f"byte {position} of an ONNX file ends within a number")


def _encoded(number: int, content: bytes) -> bytes:
    return field_prefix(number, len(content)) + content
