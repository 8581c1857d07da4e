"""A state as a file: written whole or not at all, and read without trusting what is there.

Eight bytes that say what it is; the length of the header, uint64; the header, JSON; the arrays as the header tells their sizes, one behind the
other, little-endian; SHA-256 of all before it.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError
from offbeat.files import open_regular, replacing
from offbeat.streams.series_state import SeriesState
from offbeat.streams.slots import MAX_NAME_BYTES

_MAGIC = b"offbeat\x01"
_MAX_FLAGS = 1000
_DIGEST_BYTES = 32


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: Literal[1]
    model: str
    length: int
    feature_names: tuple[str, ...]
    n_flags: int
    names: list[str]


def write_state(path: Path, state: SeriesState) -> None:
    """Has the file take the place of the one before, for its owner's eyes alone: it holds rows. Raises OSError."""
    header = msgspec.json.encode(
        _Header(
            schema_version=1,
            model=state.model,
            length=state.length,
            feature_names=state.feature_names,
            n_flags=state.flags.shape[1],
            names=state.names,
        )
    )
    digest = hashlib.sha256()
    with replacing(path, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        for part in (_MAGIC, len(header).to_bytes(8, "little"), header, *_arrays(state)):
            digest.update(part)
            file.write(part)
        file.write(digest.digest())


def read_state(path: Path, max_bytes: int) -> SeriesState:
    """What a file holds, which may have `max_bytes` at most. Raises DataError where it is not what it should be, OSError."""
    with open_regular(path, follows_links=False) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise DataError(f"{path}: more than {max_bytes} bytes; expected at most so many")
    if not content.startswith(_MAGIC) or len(content) < len(_MAGIC) + 8 + _DIGEST_BYTES:
        raise DataError(
            f"{path}: {len(content)} bytes that are no state of series; expected them to begin with {_MAGIC!r}"
        )
    body, told = memoryview(content)[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != told:
        raise DataError(
            f"{path}: its bytes do not have the digest that it ends with; expected a file that was written whole"
        )
    return _state(path, body)


def _state(path: Path, body: memoryview) -> SeriesState:
    begin = len(_MAGIC) + 8
    end = begin + int.from_bytes(body[len(_MAGIC) : begin], "little")
    try:
        header = msgspec.json.decode(body[begin:end], type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: its header is not as expected: {error}") from error
    _check(path, header)
    shapes = _shapes(header)
    n_bytes = sum(math.prod(shape) * np.dtype(dtype).itemsize for dtype, shape in shapes.values())
    if n_bytes != len(body) - end:
        raise DataError(f"{path}: {len(body) - end} bytes of arrays; expected {n_bytes}")
    arrays = dict(_slices(body[end:], shapes))
    if not np.isfinite(arrays["tails"]).all() or (arrays["n_seen"] < 0).any() or not (arrays["ages_s"] >= 0).all():
        raise DataError(
            f"{path}: its values are not finite, or a count or an age is negative; expected what was written"
        )
    return SeriesState(
        model=header.model,
        length=header.length,
        feature_names=header.feature_names,
        names=header.names,
        **arrays,
    )


def _check(path: Path, header: _Header) -> None:
    is_sound = (
        header.length >= 1
        and 0 <= header.n_flags < _MAX_FLAGS
        and header.feature_names
        and len(set(header.names)) == len(header.names)
        and all(0 < len(name.encode(errors="replace")) <= MAX_NAME_BYTES for name in header.names)
    )
    if not is_sound:
        raise DataError(f"{path}: its header has sizes or names that no state has; expected what was written")


def _shapes(header: _Header) -> dict[str, tuple[str, tuple[int, ...]]]:
    n_series = len(header.names)
    return {
        "tails": ("<f4", (n_series, header.length - 1, len(header.feature_names))),
        "n_seen": ("<i8", (n_series,)),
        "timestamps": ("<i8", (n_series,)),
        "ages_s": ("<f8", (n_series,)),
        "flags": ("u1", (n_series, header.n_flags)),
    }


def _slices(data: memoryview, shapes: dict[str, tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, NDArray[Any]]]:
    begin = 0
    for name, (dtype, shape) in shapes.items():
        n_items = math.prod(shape)
        yield name, np.frombuffer(data, dtype, n_items, begin).reshape(shape)
        begin += n_items * np.dtype(dtype).itemsize


def _arrays(state: SeriesState) -> Iterator[bytes]:
    for name, dtype in (("tails", "<f4"), ("n_seen", "<i8"), ("timestamps", "<i8"), ("ages_s", "<f8"), ("flags", "u1")):
        yield np.ascontiguousarray(getattr(state, name), dtype).tobytes()
