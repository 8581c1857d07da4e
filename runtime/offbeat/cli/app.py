"""Puts the commands together and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from offbeat.cli.bench import bench
from offbeat.cli.diff import diff
from offbeat.cli.explanation import explain
from offbeat.cli.footer import footer
from offbeat.cli.inspect import inspect
from offbeat.cli.listen import listen
from offbeat.cli.score import score
from offbeat.cli.serve import serve
from offbeat.cli.verify import verify
from offbeat.cli.version import version
from offbeat.errors import MissingExtraError, OffbeatError

ENTRY_POINT_GROUP = "offbeat.commands"
# In the order of the work; commands of other packages that are not named here follow.
_ORDER = (
    "train",
    "search",
    "evaluate",
    "export",
    "inspect",
    "verify",
    "recalibrate",
    "diff",
    "bench",
    "serve",
    "score",
    "listen",
    "version",
)


def main() -> None:
    """Runs the command line. Exits with 0 for success, 1 for an error that offbeat explains, 2 for wrong usage; `diff` as it says."""
    # As Ctrl-C does, so that what was begun is cleared away: half a file, a process that still computes.
    signal.signal(signal.SIGTERM, _end)
    try:
        _build()()
    except OffbeatError as error:
        explain(error)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _build() -> typer.Typer:
    app = typer.Typer(
        cls=_InOrder,
        help="Anomaly scores from reconstruction autoencoders: train, export once, the same score everywhere.",
        epilog=footer(),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, command in _commands().items():
        app.command(name, epilog=footer(name))(command)
    app.add_typer(bench, name="bench", epilog=footer("bench"))
    return app


def _commands() -> dict[str, Callable[..., None]]:
    built_in: dict[str, Callable[..., None]] = {
        "inspect": inspect,
        "verify": verify,
        "diff": diff,
        "serve": serve,
        "score": score,
        "listen": listen,
        "version": version,
    }
    return {point.name: _load(point) for point in entry_points(group=ENTRY_POINT_GROUP)} | built_in


class _InOrder(TyperGroup):
    """Lists the commands in the order of the work."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of commands and of groups of commands alike."""
        return sorted(self.commands, key=_position)


def _position(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _load(point: EntryPoint) -> Callable[..., None]:
    """The command, or one that says what is missing: the others must work without it."""
    try:
        command: Callable[..., None] = point.load()
    except ImportError as error:
        missing = error.name

        def command() -> None:
            raise MissingExtraError(f"offbeat {point.name} needs {missing}; pip install 'offbeat[all]'")

        command.__doc__ = f"Not installed: needs {missing}."
    return command
