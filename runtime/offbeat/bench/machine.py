"""The machine that figures are of."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What latencies hang on: the processor's name, the cores this process may use, the instruction set's name."""

    cpu: str
    n_cores: int
    architecture: str


def this_machine() -> Machine:
    """The one this runs on."""
    return Machine(cpu=_cpu(), n_cores=len(os.sched_getaffinity(0)), architecture=platform.machine())


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
