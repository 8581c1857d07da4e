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
    """The processor's name, and where the kernel tells them its family and model: virtual machines often say `AMD EPYC` and no more."""
    file = Path("/proc/cpuinfo")
    told: dict[str, str] = {}
    for line in file.read_text(errors="replace").splitlines() if file.is_file() else []:
        key, _, value = line.partition(":")
        told.setdefault(key.strip(), value.strip())
    name = told.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key.removeprefix('cpu ')} {told[key]}" for key in ("cpu family", "model") if key in told]
    return f"{name}, {' '.join(numbers)}" if numbers else name
