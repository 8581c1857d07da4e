"""Flags that are fields of configuration structs: a field's type and default are the flag's, and are said once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec
import typer

Command = Callable[..., None]
Config = TypeVar("Config", bound=msgspec.Struct)
Flags = Mapping[str, Any]


def flag(description: str, *names: str, **settings: Any) -> Any:
    """The flag of a field, with the environment variable of its name; `names` where it is not called as the field is."""
    return lambda field: typer.Option(*names, help=description, **{"envvar": f"OFFBEAT_{field.upper()}"} | settings)


def with_fields(kinds: Sequence[type[msgspec.Struct]], flags: Flags) -> Callable[[Command], Command]:
    """Replaces a command's `**given` by flags, in their order; each is a field of one of the structs, of the last that has it.

    A flag is one of `flag`, or an option that several commands share. A field of several words is a flag that may be repeated,
    or, where the option is a single word's, one with commas between them.
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
    # Defaults belong to the last fields.
    defaults = dict(zip(reversed(kind.__struct_fields__), reversed(kind.__struct_defaults__), strict=False))
    names = set(kind.__struct_fields__) & given.keys() - further.keys()
    return kind(**{name: _value(given[name], defaults.get(name)) for name in names} | further)


def _value(given: Any, default: Any) -> Any:
    """What a field with that default holds of what the flag gave."""
    if not isinstance(default, tuple):
        return given
    if isinstance(given, str):
        return tuple(word.strip() for word in given.split(",") if word.strip())
    return tuple(given)


def _parameter(field: msgspec.structs.FieldInfo, option: Any) -> inspect.Parameter:
    annotation = option if get_origin(option) is Annotated else Annotated[_kind(field), option(field.name)]
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field, annotation), annotation=annotation
    )


def _kind(field: msgspec.structs.FieldInfo) -> Any:
    return list[str] if isinstance(field.default, tuple) else field.type


def _default(field: msgspec.structs.FieldInfo, annotation: Any) -> Any:
    if not isinstance(field.default, tuple):
        return field.default
    return ",".join(field.default) if get_args(annotation)[0] is str else list(field.default)
