"""Options of `offbeat serve` that say who may reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TlsCertOption = Annotated[
    Path | None,
    typer.Option(envvar="OFFBEAT_TLS_CERT", help="Speak TLS: PEM file of certificates, the server's own first."),
]
TlsKeyOption = Annotated[
    Path | None, typer.Option(envvar="OFFBEAT_TLS_KEY", help="PEM file of the first certificate's private key.")
]
TlsClientCaOption = Annotated[
    Path | None,
    typer.Option(
        envvar="OFFBEAT_TLS_CLIENT_CA", help="Let in only clients with certificates of these authorities; PEM file."
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        envvar="OFFBEAT_TOKEN_FILE",
        help="Ask callers for a token of this file: one a line, admin: before those of admins.",
    ),
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", envvar="OFFBEAT_INSECURE", help="Listen beyond this machine although without TLS."),
]
