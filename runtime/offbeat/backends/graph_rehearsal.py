"""Whether a model's CUDA graphs work here, found out in a process of its own.

A graph that cannot be captured (an operator that waits for the device or allocates) leaves a stream that ONNX Runtime may
end the whole process over when it frees the session: not the one that serves.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from offbeat.backends.cuda_backend import open_lanes
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import OffbeatError

_MAX_SECONDS = 300.0
_PROGRAM = f"import sys; from {__name__} import main; sys.exit(main(*sys.argv[1:]))"


def why_no_graphs(version: ModelVersion, config: BackendConfig) -> str:
    """Empty where every bucket of the version was captured, replayed, and gave the golden outputs; else the reason."""
    rehearsed = msgspec.structs.replace(config, backend="cuda", n_streams=1)
    # -P, or a json.py where somebody happens to stand would be imported.
    command = [sys.executable, "-P", "-c", _PROGRAM, str(version.path), msgspec.json.encode(rehearsed).decode()]
    return rehearse(command)


def rehearse(command: list[str], max_seconds: float = _MAX_SECONDS) -> str:
    """Runs the command: empty where it ends well; else the last line it wrote, or how it ended."""
    try:
        done = subprocess.run(  # noqa: S603 - this very module, by this interpreter
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=max_seconds,
        )
    except subprocess.TimeoutExpired:
        return f"their rehearsal took longer than {max_seconds:g} s"
    except OSError as error:
        return f"their rehearsal could not be started: {error}"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"their rehearsal was ended by {signal.Signals(-done.returncode).name}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"their rehearsal ended with status {done.returncode}"


def main(folder: str, config: str) -> str | None:
    """Opens the folder with graphs. None, or the reason why that cannot be."""
    try:
        version = ModelVersion.open(Path(folder))
        settings = msgspec.json.decode(config, type=BackendConfig)
        open_lanes(GpuProvider.CUDA, version, settings, has_graphs=True).close()
    except OffbeatError as error:
        return " ".join(str(error).split())
    return None
