"""Where figures come from: the machine, the packages and the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("offbeat", "torch", "lightning", "numpy", "scikit-learn"),
    *("onnxruntime", "onnxruntime-gpu", "grpcio"),
)


def environment() -> dict[str, Any]:
    """Plain values, ready for JSON."""
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cpu": _cpu(), "usable_cores": len(os.sched_getaffinity(0))},
        "python": platform.python_version(),
        "packages": _installed(),
        "commit": _git("rev-parse", "HEAD"),
        "has_uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _installed() -> dict[str, str]:
    """Versions, of those that are installed."""
    present = {package.metadata["Name"].lower(): package.version for package in distributions()}
    return {name: present[name] for name in _PACKAGES if name in present}


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
