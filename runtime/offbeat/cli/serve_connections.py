"""Options of `offbeat serve` that limit connections."""

from __future__ import annotations

from typing import Annotated

import typer

MaxConnectionsOption = Annotated[
    int, typer.Option(envvar="OFFBEAT_MAX_CONNECTIONS", min=0, help="Connections open at once; 0: any number.")
]
MaxConcurrentStreamsOption = Annotated[
    int, typer.Option(envvar="OFFBEAT_MAX_CONCURRENT_STREAMS", min=1, help="Calls at once on one connection.")
]
MaxHeaderBytesOption = Annotated[
    int, typer.Option(envvar="OFFBEAT_MAX_HEADER_BYTES", min=1024, help="Metadata of one call.")
]
MaxConnectionAgeOption = Annotated[
    float,
    typer.Option(
        envvar="OFFBEAT_MAX_CONNECTION_AGE_S", min=0, help="Ask clients to connect anew after so long; 0: never."
    ),
]
MaxConnectionAgeGraceOption = Annotated[
    float,
    typer.Option(envvar="OFFBEAT_MAX_CONNECTION_AGE_GRACE_S", min=0, help="What calls that run then have left to end."),
]
MaxConnectionIdleOption = Annotated[
    float,
    typer.Option(envvar="OFFBEAT_MAX_CONNECTION_IDLE_S", min=0, help="Close without calls for so long; 0: never."),
]
KeepaliveTimeOption = Annotated[
    float, typer.Option(envvar="OFFBEAT_KEEPALIVE_TIME_S", min=1, help="Ping a client that is silent for so long.")
]
KeepaliveTimeoutOption = Annotated[
    float, typer.Option(envvar="OFFBEAT_KEEPALIVE_TIMEOUT_S", min=0.1, help="Without an answer for so long it is gone.")
]
MinPingIntervalOption = Annotated[
    float,
    typer.Option(envvar="OFFBEAT_MIN_PING_INTERVAL_S", min=0, help="Send clients away that ping more often than this."),
]
