"""Arrays in IDX files, the format of MNIST, gzip-compressed or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError

MAX_BYTES = 2**30
_GZIP = b"\x1f\x8b"
_UINT8 = 0x08


def read_idx(file: Path, n_axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file of `n_axes` axes; what the file says, not its name, tells compression.

    Header: two zero bytes, the type (8 is unsigned byte), the number of axes, then each length as a big-endian uint32.
    Raises DataError, naming the file, for another header, for more or fewer bytes than it promises, and above 1 GiB.
    """
    content = _content(file)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UINT8 or content[3] != n_axes:
        raise DataError(f"{file}: starts with {content[:4].hex(' ')}; expected 00 00 08 {n_axes:02x}, IDX of bytes")
    n_header = 4 + 4 * n_axes
    if len(content) < n_header:
        raise DataError(f"{file}: {len(content)} bytes; expected a header of {n_header}")
    shape = tuple(int(length) for length in np.frombuffer(content, dtype=">u4", count=n_axes, offset=4))
    if len(content) != n_header + math.prod(shape):
        raise DataError(f"{file}: {len(content) - n_header} bytes of values; its header says {shape}")
    return np.frombuffer(content, dtype=np.uint8, offset=n_header).reshape(shape)


def _content(file: Path) -> bytes:
    """All bytes of the file, unpacked; one more than the limit is enough to know that there are too many."""
    try:
        with file.open("rb") as stream:
            is_packed = stream.read(2) == _GZIP
        with gzip.open(file) if is_packed else file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{file}: more than {MAX_BYTES:,} bytes unpacked; expected at most that")
    return content
