"""Runs `model.pt2`, to measure it: a program of torch.export is read by PyTorch alone."""

from __future__ import annotations

import io

import torch
from torch import nn

from offbeat.bundle import ModelVersion
from offbeat.errors import BackendError
from offbeat_export.backends import TorchBackend
from offbeat_export.eager import one_line
from offbeat_export.onnx_tracing import quiet
from offbeat_export.torch_program_export import MODEL_TORCH_PROGRAM


class TorchProgramBackend(TorchBackend):
    """Runs `model.pt2`, on the device that it was exported on, the CPU.

    It is not registered by name: reading such a file evaluates expressions of it, so only one's own are read.
    """

    name = "torch-program"

    def _load(self, version: ModelVersion, device: torch.device) -> nn.Module:
        content = version.read(MODEL_TORCH_PROGRAM)
        try:
            with quiet():
                return torch.export.load(io.BytesIO(content)).module()
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"{version.path / MODEL_TORCH_PROGRAM}: torch refuses it: {one_line(error)}") from error
