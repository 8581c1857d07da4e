"""`model.safetensors` without the safetensors library: its layer plan, and its tensors as arrays."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.errors import BundleError

_N_LENGTH = 8
_METADATA = "__metadata__"
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I8": "|i1",
    "U8": "|u1",
}


class TensorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the header says of a tensor; the offsets count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class SafetensorsFile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The tensors and the metadata of a file, read without trusting it."""

    entries: dict[str, TensorEntry]
    metadata: dict[str, str]
    data: memoryview

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> SafetensorsFile:
        """Reads the header and checks every tensor against the bytes that are there. Raises BundleError, naming `where`."""
        n_header = int.from_bytes(content[:_N_LENGTH], "little")
        start = _N_LENGTH + n_header
        if len(content) < start:
            raise BundleError(f"{where}: a header of {n_header:,} bytes; the file holds {len(content):,} in all")
        try:
            header = msgspec.json.decode(content[_N_LENGTH:start], type=dict[str, msgspec.Raw])
            metadata = msgspec.json.decode(header.pop(_METADATA, msgspec.Raw(b"{}")), type=dict[str, str])
            entries = {name: msgspec.json.decode(raw, type=TensorEntry) for name, raw in header.items()}
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise BundleError(f"{where}: not a readable header: {error}") from error
        for name, entry in entries.items():
            _check_entry(name, entry, len(content) - start, where)
        return cls(entries=entries, metadata=metadata, data=memoryview(content)[start:])

    def array(self, name: str) -> NDArray[np.generic]:
        """A tensor of the file, row-major; bfloat16 comes as the float32 numbers that it stands for."""
        entry = self.entries[name]
        begin, end = entry.data_offsets
        stored = np.frombuffer(self.data[begin:end], _DTYPES[entry.dtype]).reshape(entry.shape)
        # The upper half of a float32 is a bfloat16.
        return (stored.astype("<u4") << 16).view("<f4") if entry.dtype == "BF16" else stored


def _check_entry(name: str, entry: TensorEntry, n_data: int, where: str) -> None:
    if entry.dtype not in _DTYPES:
        raise BundleError(f"{where}: {name!r} is of type {entry.dtype!r}; expected one of {', '.join(_DTYPES)}")
    begin, end = entry.data_offsets
    n_bytes = math.prod(entry.shape) * np.dtype(_DTYPES[entry.dtype]).itemsize
    if min(entry.shape, default=0) < 0 or not 0 <= begin <= end <= n_data or end - begin != n_bytes:
        raise BundleError(
            f"{where}: {name!r} of shape {list(entry.shape)} needs {n_bytes:,} bytes; "
            f"it claims {begin:,} to {end:,} of the {n_data:,} there are"
        )
