"""Where figures come from: the machine, the packages and the commit."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("offbeat", "torch", "lightning", "numpy", "scikit-learn"),
    *("onnxruntime", "onnxruntime-gpu", "grpcio"),
)
# What arithmetic depends on most.
_TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd")


def environment() -> dict[str, Any]:
    """Plain values, ready for JSON."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "machine": {
            "system": platform.platform(),
            "cpu": _cpu(),
            "usable_cores": len(os.sched_getaffinity(0)),
            "caches": _caches(),
            "instruction_sets": ", ".join(name for name in _TELLING if name in _flags()),
        },
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": _installed(),
        "commit": _git("rev-parse", "HEAD"),
        "has_uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _command() -> str:
    """What was run, with its flags; of paths that begin at the root the last part alone, behind PATH: the rest is this machine's."""
    words = ["python", *sys.orig_argv[1:]]
    return shlex.join(f"PATH/{Path(word).name}" if Path(word).is_absolute() else word for word in words)


def _caches() -> str:
    """As in `L1d 48K, L2 1024K, L3 32768K`; empty where the system does not tell."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level}{'d' if kind == 'Data' else ''} {size}")
    return ", ".join(found)


def _flags() -> set[str]:
    return set(_cpu_facts().get("flags", "").split())


def _installed() -> dict[str, str]:
    """Versions, of those that are installed."""
    present = {package.metadata["Name"].lower(): package.version for package in distributions()}
    return {name: present[name] for name in _PACKAGES if name in present}


def _cpu() -> str:
    facts = _cpu_facts()
    family = f" (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else ""
    return f"{facts['model name']}{family}" if "model name" in facts else platform.processor()


def _cpu_facts() -> dict[str, str]:
    """Of the first core."""
    file = Path("/proc/cpuinfo")
    first = file.read_text().partition("\n\n")[0] if file.is_file() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _git(*arguments: str) -> str:
    """What git says; empty where there is none."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
