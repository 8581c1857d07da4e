"""Options of `offbeat score --server` for servers with TLS or tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TlsOption = Annotated[
    bool, typer.Option("--tls", envvar="OFFBEAT_TLS", help="With --server: speak TLS; implied by the other TLS flags.")
]
TlsCaOption = Annotated[
    Path | None,
    typer.Option(envvar="OFFBEAT_TLS_CA", help="PEM file of the authorities that may vouch for the server."),
]
TlsClientCertOption = Annotated[
    Path | None,
    typer.Option(envvar="OFFBEAT_TLS_CLIENT_CERT", help="PEM file of the certificates that this client shows."),
]
TlsClientKeyOption = Annotated[
    Path | None, typer.Option(envvar="OFFBEAT_TLS_CLIENT_KEY", help="PEM file of the first one's private key.")
]
TlsServerNameOption = Annotated[
    str | None,
    typer.Option(envvar="OFFBEAT_TLS_SERVER_NAME", help="The name in the server's certificate, if not the target's."),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="OFFBEAT_TOKEN", help="For servers that ask for one; a flag is seen by others here, a variable is not."
    ),
]
