"""Flags of the commands: each is a field of the same name, and an environment variable."""

from __future__ import annotations

from typing import Any

import typer


def flag(name: str, description: str, envvar: str | None = None, **settings: Any) -> Any:
    """The option `--name`, with the environment variable `OFFBEAT_NAME` unless another is given."""
    variable = envvar or f"OFFBEAT_{name.replace('-', '_').upper()}"
    return typer.Option(f"--{name}", envvar=variable, help=description, **settings)
