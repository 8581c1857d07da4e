"""Flags of the commands: each is a field of the same name, and an environment variable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from offbeat.config_file import use_config_file
from offbeat.errors import MissingExtraError

# Not OFFBEAT_OUT: that is the csv file of `offbeat score`, which would take the checkpoint's place.
CHECKPOINT_VARIABLE = "OFFBEAT_CHECKPOINT"


def flag(name: str, description: str, envvar: str | None = None, **settings: Any) -> Any:
    """The option `--name`, with the environment variable `OFFBEAT_NAME` unless another is given."""
    variable = envvar or f"OFFBEAT_{name.replace('-', '_').upper()}"
    return typer.Option(f"--{name}", envvar=variable, help=description, **settings)


def number_or_none(word: str) -> float | None:
    """A number, or `none`. Raises ValueError for anything else."""
    return None if word.strip().lower() == "none" else float(word)


ConfigOption = Annotated[
    Path | None,
    flag(
        "config",
        "TOML file whose keys are these flags; flags and variables win over it.",
        is_eager=True,
        callback=use_config_file,
    ),
]


@contextlib.contextmanager
def training_extra(command: str) -> Iterator[None]:
    """Raises MissingExtraError, naming the extra, where an import inside fails for want of another's package."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("offbeat"):
            raise
        raise MissingExtraError(f"{command} needs {error.name}; pip install 'offbeat[training]'") from error
