"""Processor time of other processes."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_s(process: int) -> float:
    """Seconds of all threads of a process, of /proc's fields 14 and 15."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
