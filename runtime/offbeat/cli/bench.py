"""`offbeat bench` and its commands."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from offbeat.cli.bench_compare import compare_results
from offbeat.cli.bench_run import run
from offbeat.cli.bench_tune import tune
from offbeat.cli.footer import footer

_DEFAULT = "tune"


class _FolderFirst(TyperGroup):
    """`offbeat bench FOLDER` is `offbeat bench tune FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the command that is meant before arguments that begin with none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


bench = typer.Typer(
    cls=_FolderFirst,
    no_args_is_help=True,
    help="Time models on the engines of this machine: what to serve them with, and what got slower.\n\n"
    "`offbeat bench FOLDER` stands for `offbeat bench tune FOLDER`.\n\n"
    "Example: `offbeat bench models/server-metrics`",
)
for _name, _command in (("tune", tune), ("run", run), ("compare", compare_results)):
    bench.command(_name, epilog=footer("bench"))(_command)
