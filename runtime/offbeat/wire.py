"""Fields of protobuf messages put together without building the messages: where all but some bytes is known beforehand, or nobody
here has the messages' kinds.

The encoding is protobuf's own (https://protobuf.dev/programming-guides/encoding): a field is its tag and its value, and fields
may follow one another in any order.
"""

from __future__ import annotations

from functools import lru_cache

_LENGTH_DELIMITED = 2


# Answers on a stream are of few lengths, which are remembered.
@lru_cache(256)
def field_prefix(number: int, n_bytes: int) -> bytes:
    """What stands before the value of a field of bytes, text or message: its tag and the value's length."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(n_bytes)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
