"""Flags that are of use in some calls of a command only: said once for each, and refused elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from offbeat.errors import ConfigurationError

Call = Mapping[str, Any]
# An environment serves many calls: a variable that is of no use in one of them is no mistake.
_SOURCES = ("COMMANDLINE", "DEFAULT_MAP")


class FlagUse(msgspec.Struct, frozen=True, kw_only=True):
    """`flags` are read only in calls of which `is_used` is true, which are those with what `goes_with` names.

    A call is the values of all flags and arguments by their names, and what else is known of it.
    """

    flags: tuple[str, ...]
    goes_with: str
    is_used: Callable[[Call], bool]


class Context(Protocol):
    """What is asked of typer's context: the call's values, and where each comes from."""

    params: dict[str, Any]

    @property
    def command(self) -> Any:
        """The command, with the flags that it has as `params`."""
        ...

    def get_parameter_source(self, name: str, /) -> Any:
        """Where a value comes from, with a `name`."""
        ...


def refuse_unused(context: Context, uses: Iterable[FlagUse], **facts: Any) -> None:
    """Raises ConfigurationError for the first flag that the command line or a file of settings gives in vain.

    `facts` are added to the call. A flag that has its default's value is in nobody's way.
    """
    call = context.params | facts
    defaults = {str(flag.name): flag.default for flag in context.command.params}
    for use in uses:
        if use.is_used(call):
            continue
        for name in use.flags:
            source = context.get_parameter_source(name)
            if source is not None and source.name in _SOURCES and call[name] != defaults[name]:
                raise ConfigurationError(
                    f"--{name.rstrip('_').replace('_', '-')} is given, and nothing here reads it; it goes with {use.goes_with}"
                )


def is_npz(path: Path | str | None) -> bool:
    """Whether a file holds arrays by name; of a call the path may be a word still."""
    return path is not None and Path(path).suffix == ".npz"


def is_csv(path: Path | str | None) -> bool:
    """Whether a file is read as lines of text, likewise."""
    others = (".npz", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".arrow", ".arrows", ".ipc", ".feather")
    return path is not None and Path(path).suffix not in others
