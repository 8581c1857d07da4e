from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from offbeat.bundle.safetensors_file import SafetensorsFile
from offbeat.errors import BundleError


def made(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_tensors_and_metadata_are_read_as_they_were_written() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    halves = np.array([1.5, -2.0], "<f2")
    brains = (np.array([1.5, -2.0], "<f4").view("<u4") >> 16).astype("<u2")
    header = {
        "__metadata__": {"plan": "{}"},
        "a": entry("F32", [2, 3], 0, 24),
        "b": entry("F16", [2], 24, 28),
        "c": entry("BF16", [2], 28, 32),
        "d": entry("F32", [0, 5], 32, 32),
    }
    file = SafetensorsFile.from_bytes(made(header, values.tobytes() + halves.tobytes() + brains.tobytes()), "here")
    assert file.metadata == {"plan": "{}"}
    np.testing.assert_array_equal(file.array("a"), values)
    np.testing.assert_array_equal(file.array("b"), halves)
    np.testing.assert_array_equal(file.array("c"), np.array([1.5, -2.0], np.float32))
    assert file.array("d").shape == (0, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header"),
        (b"\xff" * 8, "a header of 18,446,744,073,709,551,615 bytes"),
        (made(b"{")[:-1], "header"),
        (made(b"[" * 100_000), "not a readable header"),
        (made([]), "not a readable header"),
        (made({"a": 1}), "not a readable header"),
        (made({"__metadata__": {"plan": 1}}), "not a readable header"),
        (made({"a": entry("F8", [1], 0, 1)}, b"x"), "of type 'F8'"),
        (made({"a": entry("F32", [10**9, 10**9], 0, 4)}, b"xxxx"), "needs 4,000,000,000,000,000,000 bytes"),
        (made({"a": entry("F32", [-1, -1], 0, 4)}, b"xxxx"), "claims"),
        (made({"a": entry("F32", [1], 1, 5)}, b"xxxx"), "claims 1 to 5 of the 4"),
        (made({"a": entry("F32", [1], -4, 0)}, b"xxxx"), "claims"),
        (made({"a": entry("F32", [1], 4, 0)}, b"xxxx"), "claims"),
    ],
)
def test_a_hostile_file_is_refused_before_anything_is_made_of_it(content: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        SafetensorsFile.from_bytes(content, "here")
    assert str(caught.value).startswith("here: ")
