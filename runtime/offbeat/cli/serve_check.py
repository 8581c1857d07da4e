"""`offbeat serve --check`."""

from __future__ import annotations

import typer

from offbeat.config import ServerConfig
from offbeat.telling import in_one_line


def check(config: ServerConfig) -> None:
    """Prints what was looked at, a line each, and raises typer.Exit with 1 where anything would refuse the start."""
    from offbeat.server.preflight import preflight

    typer.echo("ok       configuration")
    n_problems = 0
    for finding in preflight(config):
        n_problems += finding.problem is not None
        verdict = "refused" if finding.problem is not None else "skipped" if finding.is_skipped else "ok"
        told = finding.subject if finding.problem is None else f"{finding.subject}: {finding.problem}"
        typer.echo(f"{verdict:<7}  {in_one_line(told)}")
    if n_problems:
        raise typer.Exit(1)
