"""`model.pt`: the whole scorer as a TorchScript module."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from offbeat.bundle.manifest import Manifest
from offbeat.errors import BackendError, ExportError
from offbeat_export.eager import one_line
from offbeat_export.torchscript_check import check_torchscript


def export_torchscript(module: nn.Module, manifest: Manifest) -> bytes:
    """The serialised module: `forward(window)` returns the outputs as a tuple, for any batch and time.

    Scripted, not traced, so that no size and no device is baked in; then frozen, which folds batch normalisation into
    the layer before it. Raises ExportError where TorchScript cannot express the module.
    """
    buffer = io.BytesIO()
    with expected_deprecations():
        try:
            torch.jit.save(torch.jit.freeze(torch.jit.script(module)), buffer)
        except RuntimeError as error:
            raise ExportError(f"{manifest.architecture.kind} cannot become TorchScript: {one_line(error)}") from error
    return buffer.getvalue()


def load_torchscript(content: bytes, where: str, device: torch.device) -> nn.Module:
    """The module of a TorchScript archive that only computes, on a device; errors begin with `where`.

    Raises BundleError for one that would do anything else, BackendError for one that torch refuses.
    """
    check_torchscript(content, where)
    try:
        with expected_deprecations():
            module: nn.Module = torch.jit.load(io.BytesIO(content), map_location=device)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise BackendError(f"{where}: torch refuses it: {one_line(error)}") from error
    return module


@contextmanager
def expected_deprecations() -> Iterator[None]:
    """Silences torch's notice that TorchScript is deprecated, and nothing else; docs/export.md says what follows from it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        yield
