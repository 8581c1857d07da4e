"""The commands of the training room, run in this process as the command line registers them."""

from __future__ import annotations

import typer
from typer.testing import CliRunner, Result

from offbeat.errors import OffbeatError
from offbeat_training.command import evaluate, search, train


def run(*arguments: object, **environment: str) -> Result:
    """A command as the command line registers it, in this process."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("train")(train)
    app.command("search")(search)
    app.command("evaluate")(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200", **environment})


def error_of(result: Result) -> OffbeatError:
    """The error that a command ended with, which is one line."""
    assert isinstance(result.exception, OffbeatError), result.output
    assert len(str(result.exception).splitlines()) == 1
    return result.exception
