"""Options that several commands share. Each is a configuration field of the same name, and an environment variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offbeat.config import Device
from offbeat.data import MissingPolicy
from offbeat.data.dataset import Layout

BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        envvar="OFFBEAT_BACKEND",
        help="Engine that computes: auto, native, onnxruntime, cuda, tensorrt, torchscript or eager.",
    ),
]
DeviceOption = Annotated[
    Device,
    typer.Option("--device", envvar="OFFBEAT_DEVICE", help="Where it computes; auto takes CUDA where a GPU is usable."),
]
ThreadsOption = Annotated[
    int, typer.Option("--n-threads", envvar="OFFBEAT_N_THREADS", min=1, help="Threads that one call computes on.")
]
IsaOption = Annotated[
    str,
    typer.Option(
        "--isa",
        envvar="OFFBEAT_ISA",
        help="Instruction set of the native core: auto, or baseline, avx2, avx512 or neon where this CPU has it.",
    ),
]
CudaGraphsOption = Annotated[
    bool,
    typer.Option(
        envvar="OFFBEAT_CUDA_GRAPHS", help="On a GPU, replay batches as CUDA graphs where the model allows it."
    ),
]
StrideOption = Annotated[
    int, typer.Option(envvar="OFFBEAT_SCORE_STRIDE", min=1, help="Rows from the start of one window to the next.")
]
KeyOption = Annotated[
    str | None, typer.Option(envvar="OFFBEAT_KEY", help="Array of an npz file; not needed where it is the only one.")
]
LayoutOption = Annotated[
    Layout,
    typer.Option(envvar="OFFBEAT_LAYOUT", help="What a line of the data is: a step, or a window of one feature."),
]
MissingOption = Annotated[
    MissingPolicy,
    typer.Option(
        envvar="OFFBEAT_MISSING",
        help="NaN and empty cells: an error, the last value before, or the line between those beside.",
    ),
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", envvar="OFFBEAT_INSECURE", help="Listen beyond this machine although without TLS."),
]
ModelArgument = Annotated[
    Path, typer.Argument(help="A model version folder, a model (its newest version), or a repository of one model.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
