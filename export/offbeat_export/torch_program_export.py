"""`model.pt2`: the whole scorer as a program of torch.export, which PyTorch recommends in TorchScript's place."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch
from torch import nn

from offbeat.bundle.manifest import Manifest
from offbeat.errors import ExportError
from offbeat_export.eager import one_line
from offbeat_export.onnx_tracing import dynamic_axes, example_window, quiet

MODEL_TORCH_PROGRAM: Final = "model.pt2"


def export_torch_program(module: nn.Module, manifest: Manifest) -> bytes:
    """The serialised program: `torch.export.load(…).module()(window)` gives the manifest's outputs as a tuple.

    Batch and time are as dynamic as the manifest says; LSTM layers stay single operators. Raises ExportError where torch
    cannot express the module.
    """
    shapes = dict.fromkeys(dynamic_axes(manifest), torch.export.Dim.DYNAMIC)
    buffer = io.BytesIO()
    # In inference mode torch keeps an LSTM whole, where it would else unroll it over the traced steps.
    with quiet(), torch.inference_mode(), _dynamic_lstm():
        try:
            # What torch remembers of models exported before, of their lengths too, would become conditions of this one.
            torch._dynamo.reset()
            program = torch.export.export(
                module,
                (example_window(module, manifest),),
                dynamic_shapes=(shapes,),
            )
            torch.export.save(program, buffer)
        except (RuntimeError, ValueError, torch._dynamo.exc.UserError) as error:
            kind = manifest.architecture.kind
            raise ExportError(f"{kind} cannot become a torch.export program: {one_line(error)}") from error
    return buffer.getvalue()


def _dynamic_lstm() -> AbstractContextManager[None]:
    """Lets an LSTM take any number of steps. torch has this since 2.10, in a module of its own that is not public."""
    try:
        from torch.export._patches import register_lstm_while_loop_decomposition
    except ImportError:
        return nullcontext()
    return register_lstm_while_loop_decomposition()
