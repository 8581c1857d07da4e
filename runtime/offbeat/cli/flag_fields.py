"""Flags that are fields of configuration structs: a field's type and default are the flag's, and are said once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_origin

import msgspec
import typer

Command = Callable[..., None]
Config = TypeVar("Config", bound=msgspec.Struct)
Flags = Mapping[str, Any]


def flag(description: str, *names: str, **settings: Any) -> Any:
    """The flag of a field, with the environment variable of its name; `names` where it is not called as the field is."""
    return lambda field: typer.Option(*names, envvar=f"OFFBEAT_{field.upper()}", help=description, **settings)


def with_fields(kinds: Sequence[type[msgspec.Struct]], flags: Flags) -> Callable[[Command], Command]:
    """Replaces a command's `**given` by flags, in their order; each is a field of one of the structs, of the last that has it.

    A flag is one of `flag`, or an option that several commands share.
    """
    fields = {field.name: field for kind in kinds for field in msgspec.structs.fields(kind)}

    def adopt(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.copy()
        own.popitem()
        more = [_parameter(fields[name], option) for name, option in flags.items()]
        command.__signature__ = inspect.Signature([*own.values(), *more])  # type: ignore[attr-defined]
        return command

    return adopt


def made(kind: type[Config], given: Mapping[str, Any], **further: Any) -> Config:
    """The struct of the flags that are its fields, and of what else it is told. Raises ConfigurationError."""
    names = set(kind.__struct_fields__) & given.keys()
    return kind(**{name: given[name] for name in names} | further)


def _parameter(field: msgspec.structs.FieldInfo, option: Any) -> inspect.Parameter:
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    if get_origin(option) is not Annotated:
        option = Annotated[list[str] if isinstance(default, list) else field.type, option(field.name)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option)
