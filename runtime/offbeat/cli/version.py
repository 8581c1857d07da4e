"""`offbeat version`."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from rich.table import Table

from offbeat.backends import names
from offbeat.cli.options import JsonOption
from offbeat.cli.table_console import table_console

_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "grpcio", "protobuf", "numpy", "torch", "onnx", "pyarrow")


def version(as_json: JsonOption = False) -> None:
    """Print the versions of offbeat and of what it uses, the backends, and what this processor can do.

    Example: `offbeat version --json`
    """
    facts = _facts()
    if as_json:
        print(json.dumps(facts, indent=2))  # noqa: T201
        return
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    table_console().print(table)


def _facts() -> dict[str, Any]:
    from offbeat import native

    reason = native.why_missing()
    facts: dict[str, Any] = {
        "offbeat": installed_version("offbeat"),
        "native core": reason or native.version(),
        "cpu features": [] if reason else [name for name, present in native.cpu_features().items() if present],
        "python": platform.python_version(),
        "backends": list(names()),
    }
    for package in _PACKAGES:
        try:
            facts[package] = installed_version(package)
        except PackageNotFoundError:
            continue
    return facts
