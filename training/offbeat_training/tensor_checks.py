"""Checks of what comes out of a file that nobody has to trust."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from offbeat.errors import CheckpointError


def expect(condition: bool, field: str, seen: object, expected: str) -> None:
    """Raises CheckpointError, naming the field, what was seen and what is expected, unless the condition holds."""
    if not condition:
        raise CheckpointError(f"{field} is {seen!r}; expected {expected}")


def kind_of(value: object) -> str:
    """What a value is, in words short enough for a message."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def check_tensor(field: str, value: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Raises CheckpointError unless `value` is a dense tensor of that shape and type, on the CPU, finite everywhere."""
    expected = f"{str(dtype).removeprefix('torch.')} {list(shape)}, dense, on the CPU"
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        raise CheckpointError(f"{field} is {kind_of(value)}; expected {expected}")
    expect(tuple(value.shape) == shape and value.dtype == dtype, field, kind_of(value), expected)
    # A contiguous tensor is no larger than its bytes in the file; an expanded one could claim any size.
    expect(value.is_contiguous(), field, "an expanded or transposed view", "contiguous elements")
    expect(bool(torch.isfinite(value).all()), field, "not finite everywhere", "finite numbers")


def check_tensors(field: str, tensors: object, like: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError unless `tensors` has the names, shapes and types of `like`, and no others."""
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{field} is {kind_of(tensors)}; expected a dict of tensors")
    different = set(like) ^ set(tensors)
    expect(not different, f"{field} keys that do not fit the architecture", sorted(map(str, different)), "none")
    for name, empty in like.items():
        check_tensor(f"{field}.{name}", tensors[name], tuple(empty.shape), empty.dtype)
