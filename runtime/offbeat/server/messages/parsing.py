"""Bytes from outside as messages."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from offbeat.errors import InvalidWindowError

Parsed = TypeVar("Parsed", bound=Message)


def parse(kind: type[Parsed], data: bytes) -> Parsed:
    """The message of that kind in the bytes. Raises InvalidWindowError where they hold none, bad UTF-8 included."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidWindowError(f"{len(data)} bytes that are no {kind.DESCRIPTOR.full_name}: {error}") from error
