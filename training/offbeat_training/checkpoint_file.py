"""The file of a checkpoint: torch's zip format, written whole or not at all, and read without trusting it."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from offbeat.errors import CheckpointError
from offbeat.files import open_regular
from offbeat_training.torch_archive import archive_defect
from offbeat_training.whole_file import whole_file

# Twice what an ONNX file can hold.
MAX_FILE_BYTES = 2**32
MAX_PICKLE_BYTES = 16 * 2**20
# For whoever brings a file of their own.
ELSEWHERE = "; `offbeat train` writes one, and docs/training.md says how weights trained elsewhere become one"
# What a dict of plain values and float32 or int64 tensors needs, and nothing else: torch itself allows more,
# among it `bytearray(n)`, which takes any amount of memory.
_ITEM_SIZES = {("torch", "FloatStorage"): 4, ("torch", "LongStorage"): 8}
_CALLABLES = {("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")}
# A damaged pickle can fail in any of these ways, in ours or in torch's reader.
_DAMAGE = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    MemoryError,
    OverflowError,
    ImportError,
    zipfile.BadZipFile,
)


class _Inert:
    """Stands for whatever a pickle would build: it takes anything and does nothing."""

    def __init__(self, *_: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...


class _Inspector(pickle.Unpickler):
    """Walks a pickle without running what it names, and checks every tensor against the bytes that are there.

    A count of elements larger than the record would, if believed, read past its end.
    """

    def __init__(self, data: bytes, record_bytes: Callable[[str], int]) -> None:
        super().__init__(io.BytesIO(data))
        self.record_bytes = record_bytes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ITEM_SIZES:
            return _ITEM_SIZES[module, name]
        if (module, name) in _CALLABLES:
            return _Inert
        raise CheckpointError(f"it asks to run {module}.{name}; expected plain values and tensors only")

    def persistent_load(self, pid: Any) -> Any:
        _, item_size, key, _, n_items = pid
        n_bytes = self.record_bytes(key)
        if type(n_items) is not int or n_items * item_size != n_bytes:
            raise CheckpointError(
                f"tensor {key} claims {n_items} elements of {item_size} bytes; it holds {n_bytes} bytes"
            )
        return _Inert()


def _inspect(file: BinaryIO) -> None:
    """Raises CheckpointError unless the zip is undamaged, unpacks to no more than its own size, and its pickle is plain."""
    n_file_bytes = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        defect = archive_defect(archive, n_file_bytes)
        if defect is not None:
            raise CheckpointError(defect)
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith(".pkl")]
        if len(pickles) != 1 or not pickles[0].endswith("/data.pkl"):
            raise CheckpointError(f"pickles {pickles}; expected data.pkl alone")
        if entries[pickles[0]].file_size > MAX_PICKLE_BYTES:
            raise CheckpointError(
                f"data.pkl is {entries[pickles[0]].file_size} bytes; expected at most {MAX_PICKLE_BYTES}"
            )
        root = pickles[0].removesuffix("data.pkl")
        _Inspector(archive.read(pickles[0]), lambda key: entries[f"{root}data/{key}"].file_size).load()


def read(path: Path) -> dict[Any, Any]:
    """The dict in the file, on the CPU, by `torch.load(weights_only=True)` after an inspection that runs nothing.

    Raises CheckpointError, naming the file and what is wrong with it.
    """
    try:
        with open_regular(path, follows_links=True) as file:
            # In memory, so that what is loaded is what was inspected, whatever becomes of the file meanwhile.
            bytes_read = io.BytesIO(file.read(MAX_FILE_BYTES + 1))
        if bytes_read.getbuffer().nbytes > MAX_FILE_BYTES:
            raise CheckpointError(f"more than {MAX_FILE_BYTES:,} bytes, which no model that can be exported has")
        if not zipfile.is_zipfile(bytes_read):
            raise CheckpointError("not a whole checkpoint file; expected torch's zip format (truncated?)")
        _inspect(bytes_read)
        bytes_read.seek(0)
        content = torch.load(bytes_read, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise CheckpointError(f"{path}: damaged: {type(error).__name__}: {str(error).splitlines()[:1]}") from error
    if type(content) is not dict:
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}; expected a dict, the checkpoint of offbeat{ELSEWHERE}"
        )
    return content


def write(path: Path, content: dict[str, Any]) -> None:
    """Replaces `path` by a file holding `content`, whole or not at all.

    Raises CheckpointError where it cannot be written, ConfigurationError where something else than a file is there.
    """
    with whole_file(path) as file:
        torch.save(content, file)
