"""Bytes of what is installed by pip."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.report.results import Result, Told, figures_of
from benchmarks.report.text import table

_N_LARGEST = 3


def installed_table(result: Result) -> str:
    """What each extra adds to onnxruntime, its largest distributions named."""
    alone, scoring, serving = (dict(result.content["installed"][name]) for name in ("onnxruntime", "cpu", "cpu,server"))
    cpu, server = _beside(alone, scoring), _beside(scoring, serving)
    ours = cpu.pop("offbeat")
    rows = [
        ("`.[cpu]`, beside onnxruntime and what that needs itself", _mb(ours + sum(cpu.values()))),
        ("of it offbeat", _mb(ours)),
        (f"of it the command line's, {_largest(cpu)}", _mb(sum(cpu.values()))),
        ("`.[cpu,server]`, beside the same", _mb(ours + sum(cpu.values()) + sum(server.values()))),
        (f"of it the server's, {_largest(server)}", _mb(sum(server.values()))),
        ("onnxruntime", _mb(alone.pop("onnxruntime"))),
        (f"what it needs, {_largest(alone)}", _mb(sum(alone.values()))),
        ("the wheel of offbeat, as it travels", _mb(result.content["wheel"])),
    ]
    return table(("", "MB"), rows)


def _beside(alone: Mapping[str, int], together: Mapping[str, int]) -> dict[str, int]:
    return {name: size for name, size in together.items() if name not in alone}


def _largest(sizes: Mapping[str, int]) -> str:
    names = sorted(sizes, key=lambda name: -sizes[name])
    told = ", ".join(f"{name} {_mb(sizes[name])}" for name in names[:_N_LARGEST])
    return f"{told} and {len(names) - _N_LARGEST} more" if len(names) > _N_LARGEST else told


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f}"


def _added(extra: str) -> Told:
    def told(result: Result) -> str:
        installed = result.content["installed"]
        return f"{_mb(sum(_beside(installed['onnxruntime'], installed[extra]).values()))} MB"

    return told


def _distribution(name: str) -> Told:
    return lambda result: f"{_mb(result.content['installed']['cpu,server'][name])} MB"


FIGURES = figures_of(
    "installed",
    {
        "cpu": _added("cpu"),
        "server": _added("cpu,server"),
        "uvloop": _distribution("uvloop"),
        "numpy": _distribution("numpy"),
        "wheel": lambda result: f"{_mb(result.content['wheel'])} MB",
    },
)
