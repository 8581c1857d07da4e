"""Torch's own backends: TorchScript, and the eager reference that parity is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from offbeat.bundle import ModelVersion
from offbeat.bundle.model_version import MANIFEST, MODEL_SAFETENSORS, MODEL_TORCHSCRIPT
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, ConfigurationError
from offbeat.result import FloatArray
from offbeat_export.eager import evaluate, one_line
from offbeat_export.safetensors_export import import_safetensors
from offbeat_export.torchscript_export import load_torchscript


class TorchBackend:
    """Runs a scorer in torch, whose thread count is the process's: the backend made last sets it.

    The module computes all its outputs, and those asked for are returned. Raises ConfigurationError for a CUDA device
    that is not there, BackendError for a file that torch refuses.
    """

    name: str

    def __init__(self, version: ModelVersion, config: BackendConfig) -> None:
        self._device = _device(config)
        torch.set_num_threads(config.n_threads)
        self._output_names = version.manifest.output_names
        self._module = self._load(version, self._device)
        self.description = f"{self.name} ({self._device.type})"

    def _load(self, version: ModelVersion, device: torch.device) -> nn.Module:
        raise NotImplementedError

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Returns the outputs asked for. `window` is C-contiguous float32. Raises BackendError."""
        try:
            computed = evaluate(self._module, window, self._output_names, self._device)
        except (RuntimeError, ValueError, IndexError) as error:
            raise BackendError(f"{self.description}: {one_line(error)}") from error
        return {name: computed[name] for name in outputs}

    def close(self) -> None:
        """Frees the module."""
        del self._module


class TorchScriptBackend(TorchBackend):
    """Runs `model.pt`."""

    name = "torchscript"

    def _load(self, version: ModelVersion, device: torch.device) -> nn.Module:
        return load_torchscript(version.read(MODEL_TORCHSCRIPT), str(version.path / MODEL_TORCHSCRIPT), device)


class EagerBackend(TorchBackend):
    """Rebuilds the trained module from the manifest's architecture and `model.safetensors`, and runs it line by line."""

    name = "eager"

    def _load(self, version: ModelVersion, device: torch.device) -> nn.Module:
        content = version.read(MODEL_SAFETENSORS)
        try:
            scorer = import_safetensors(content, version.manifest, str(version.path / MODEL_SAFETENSORS))
        except ConfigurationError as error:
            raise ConfigurationError(f"{version.path / MANIFEST}: {error}") from error
        return scorer.to(device)


def _device(config: BackendConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("device is 'cuda', but torch finds no usable GPU")
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    # TF32 would round products to 10 bits, which the parity bound does not allow.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")
