"""What is told of a command line that is none."""

from __future__ import annotations

from typing import Any

import typer

from offbeat.flag_refusal import refusal

# typer exports no name for the base of all its errors of usage.
UsageError: Any = typer.BadParameter.__base__


def wrong_usage(error: Any) -> str:
    """One line: what was seen, what is expected, and where to read on."""
    context = getattr(error, "ctx", None)
    command = "offbeat" if context is None else context.command_path
    return f"{_words(error)}; {command} --help tells more"


def is_help(error: Any) -> bool:
    """Whether nothing was asked for, so that the help was shown."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _words(error: Any) -> str:
    parameter = getattr(error, "param", None)
    # Of one that is missing there is no value to tell of.
    if parameter is None or not error.message:
        return str(error.format_message()).removesuffix(".")
    source = error.ctx.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        return refusal(str(parameter.envvar), error)
    return refusal(next((each for each in parameter.opts if each.startswith("--")), parameter.name), error)
