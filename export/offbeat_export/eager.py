"""Runs a scorer in torch, from arrays to arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Outputs = dict[str, NDArray[np.generic]]
_MAX_MESSAGE = 300


def evaluate(
    module: nn.Module, window: NDArray[np.floating], names: Sequence[str], device: torch.device | None = None
) -> Outputs:
    """Every output of a scorer that returns a tuple, by name, in the precision of the module and its window.

    Raises ValueError where the module returns another number of outputs than there are names.
    """
    # torch shares memory with an array, and warns where the array may not be written to.
    shared = window if window.flags.writeable else window.copy()
    with torch.inference_mode():
        tensors = module(torch.from_numpy(shared).to(device))
    return {name: tensor.cpu().numpy() for name, tensor in zip(names, tensors, strict=True)}


def one_line(error: Exception) -> str:
    """torch's message without its line breaks and its listings, for a message of ours."""
    message = " ".join(str(error).split())
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"
