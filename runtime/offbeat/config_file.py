"""A TOML file whose keys are a command's flags."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from offbeat.errors import ConfigurationError
from offbeat.flag_refusal import refusal
from offbeat.telling import in_one_line

_PREFIX = "OFFBEAT_"
# The share of letters that two names have in common, for one to be a slip of the other (difflib's ratio).
_NEAR = 0.8


def use_config_file(context: typer.Context, path: Path | None) -> Path | None:
    """Lets the file's values take the place of the command's defaults: a flag or a variable that is given still wins.

    Keys are the command's flags, with `-` or `_` between words. Raises ConfigurationError, naming the file and the key,
    for an unknown key, a key given twice, and a value that the flag would refuse. Warns of variables that are nearly the name of one.
    """
    for warning in misspelt_variables(context):
        typer.secho(f"warning: {warning}", fg="yellow", err=True)
    if path is not None:
        # What has no variable, as the data to work on, is not a setting.
        flags = {str(flag.name): flag for flag in context.command.params if flag.envvar}
        flags.pop("config")
        # What another option put there, as --tuned does, gives way.
        context.default_map = {**(context.default_map or {})} | {
            key.replace("-", "_"): _checked(context, flags, path, key, value)
            for key, value in read_config_file(path).items()
        }
    return path


def misspelt_variables(context: typer.Context) -> list[str]:
    """A sentence for each variable that is none of offbeat's, though its name is near to one of this command.

    Others are not told: Kubernetes sets OFFBEAT_SERVICE_HOST and more where a service has the name.
    """
    own = _variables(context.command)
    known = own | _variables(context.find_root().command)
    told = []
    for name in sorted(os.environ.keys() - known):
        word = name.removeprefix(_PREFIX)
        near = difflib.get_close_matches(word, [each.removeprefix(_PREFIX) for each in own], n=1, cutoff=_NEAR)
        if word != name and near:
            told.append(f"{in_one_line(name)} is no variable of this command; did you mean {_PREFIX}{near[0]}?")
    return told


def _variables(command: Any) -> set[str]:
    """Those of a command's flags, and of the commands below it."""
    below = getattr(command, "commands", {}).values()
    return {str(flag.envvar) for flag in command.params if flag.envvar}.union(*map(_variables, below))


def read_config_file(path: Path) -> dict[str, Any]:
    """The file's keys, as they are written there, and its values.

    Raises ConfigurationError for a file that is no TOML, and for a key that is there twice.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not a TOML file: {error}") from error
    names = [key.replace("-", "_") for key in content]
    for key in reversed(content):
        if names.count(key.replace("-", "_")) > 1:
            raise ConfigurationError(f"{path}: key {key!r} is given twice, with - and with _; expected once")
    return content


def _checked(context: typer.Context, flags: dict[str, Any], path: Path, key: str, value: object) -> object:
    """The value in the words of a command line, once the flag has agreed to it."""
    name = key.replace("-", "_")
    if name not in flags:
        raise ConfigurationError(f"{path}: unknown key {key!r}; {_hint(name, flags)}")
    words = _words(path, key, value)
    if flags[name].multiple:
        given: object = words
    elif len(words) == 1 or name == "features":
        given = ",".join(words)
    else:
        raise ConfigurationError(f"{path}: {key} is {value!r}; expected one value")
    try:
        flags[name].process_value(context, given)
    except typer.BadParameter as error:
        raise ConfigurationError(f"{path}: {refusal(key, error)}") from error
    return given


def _words(path: Path, key: str, value: object) -> list[str]:
    values: list[object] = value if isinstance(value, list) else [value]
    for each in values:
        if not isinstance(each, str | int | float):
            raise ConfigurationError(
                f"{path}: {key} is {value!r}; expected a word, a number, true, false, or a list of such"
            )
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0].replace('_', '-')!r}?" if near else "expected the name of a flag of this command"
