"""Puts the commands together and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import logging
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
from offbeat.cli.explanation import explain, tell
from offbeat.cli.footer import footer
from offbeat.cli.inspect import inspect
from offbeat.cli.listen import listen
from offbeat.cli.score import score
from offbeat.cli.serve import serve
from offbeat.cli.verify import verify
from offbeat.cli.version import version
from offbeat.cli.wrong_usage import UsageError, is_help, wrong_usage
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
    """Runs the command line, and ends the process where it failed."""
    code = run()
    if code:
        _leave(code)


def run() -> int:
    """Runs the command line. Returns 0 for success, 1 for an error that offbeat explains, 2 for wrong usage; `diff` as it says."""
    # As Ctrl-C does, so that what was begun is cleared away: half a file, a process that still computes.
    signal.signal(signal.SIGTERM, _end)
    try:
        code = _build()(standalone_mode=False)
        # Whoever reads may have left since the last line.
        sys.stdout.flush()
        return code or 0
    except UsageError as error:
        if not is_help(error):
            explain(wrong_usage(error))
        return 2
    except OffbeatError as error:
        explain(error)
    except BrokenPipeError:
        # Whoever read our output has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        # A name that is longer than any may be, a disk that fails: met wherever a file is first looked at.
        if error.filename is None:
            raise
        explain(f"{error.filename}: {error.strerror}")
    except _CutOff as signalled:
        # Files are written whole or not at all, so that there is no half one to name.
        tell("interrupted; no file is left half-written")
        return signalled.number + 128
    return 1


class _CutOff(SystemExit):
    """A signal ends the work."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _end(number: int, _: object) -> NoReturn:
    raise _CutOff(number)


def _leave(code: int) -> NoReturn:
    """Ends the process at once: a thread of pyarrow's that reads ahead, and comes back while Python ends, would abort it."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may have left.
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


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
    """Lists the commands in the order of the work, and has Ctrl-C end them as SIGTERM does."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that is asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            raise _CutOff(signal.SIGINT) from interruption

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
