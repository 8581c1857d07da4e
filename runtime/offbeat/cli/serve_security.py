"""Options of `offbeat serve` that say who may reach it."""

from __future__ import annotations

from typing import Annotated

import typer

InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", envvar="OFFBEAT_INSECURE", help="Listen beyond this machine although without TLS."),
]
