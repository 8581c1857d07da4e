"""`offbeat listen`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console

from offbeat.cli.listen_address import tcp_address
from offbeat.cli.listen_gaps import GapFilling
from offbeat.cli.listen_loop import ListenLoop, listening_socket
from offbeat.cli.listen_rows import RowFormat
from offbeat.cli.listen_state import ListenState
from offbeat.cli.listen_watch import Watch
from offbeat.cli.options import BackendOption, DeviceOption, InsecureOption, ModelArgument, ThreadsOption
from offbeat.flag_use import FlagUse, refuse_unused
from offbeat.scorer import load
from offbeat.series_config import MAX_STRIDE, SeriesConfig

_DEFAULTS = SeriesConfig()
_FLAG_USES = (
    FlagUse(flags=("insecure", "max_clients"), goes_with="--tcp", is_used=lambda call: call["tcp"] is not None),
    FlagUse(
        flags=("state_file",),
        goes_with="standard input, or --series-column: a client's address is no series of the next run",
        is_used=lambda call: call["tcp"] is None or call["series_column"] is not None,
    ),
    FlagUse(
        flags=("series_snapshot_s",), goes_with="--state-file", is_used=lambda call: call["state_file"] is not None
    ),
)
_STANDARD_INPUT, _STANDARD_OUTPUT = 0, 1


def listen(
    context: typer.Context,
    model: ModelArgument,
    tcp: Annotated[
        str | None,
        typer.Option(
            envvar="OFFBEAT_TCP",
            help="host:port to take clients at, instead of standard input; port 0 takes a free one.",
        ),
    ] = None,
    insecure: InsecureOption = False,
    series_column: Annotated[
        str | None,
        typer.Option(envvar="OFFBEAT_SERIES_COLUMN", help="Column that names each row's series; else a feed is one."),
    ] = None,
    timestamp_column: Annotated[
        str | None, typer.Option(envvar="OFFBEAT_TIMESTAMP_COLUMN", help="Column that is repeated in the alarms.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(envvar="OFFBEAT_DELIMITER", help="Of csv lines; recognised where it is not given.")
    ] = None,
    missing: Annotated[
        Literal["reject", "forward-fill"],
        typer.Option(
            envvar="OFFBEAT_MISSING",
            help="A row with NaN or an empty cell: no row, or filled with the last values of its series.",
        ),
    ] = "reject",
    alarm_k: Annotated[
        int, typer.Option(envvar="OFFBEAT_ALARM_K", help="An alarm: at least so many anomalous ...")
    ] = _DEFAULTS.alarm_k,
    alarm_n: Annotated[
        int, typer.Option(envvar="OFFBEAT_ALARM_N", help="... of so many last windows of a series, this one included.")
    ] = _DEFAULTS.alarm_n,
    stride: Annotated[
        int,
        typer.Option(
            envvar="OFFBEAT_SCORE_STRIDE", min=1, max=MAX_STRIDE, help="Rows from one window of a series to the next."
        ),
    ] = 1,
    scores: Annotated[
        bool, typer.Option("--scores", envvar="OFFBEAT_SCORES", help="A line for every window, not for alarms alone.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            envvar="OFFBEAT_STRICT",
            help="A line that is no row ends its feed; otherwise it is told, counted and left out.",
        ),
    ] = False,
    max_series: Annotated[
        int, typer.Option(envvar="OFFBEAT_MAX_SERIES", help="Series remembered; then the least recently used one goes.")
    ] = _DEFAULTS.max_series,
    series_ttl_s: Annotated[
        float, typer.Option(envvar="OFFBEAT_SERIES_TTL_S", help="Forget a series without a row for so long.")
    ] = _DEFAULTS.series_ttl_s,
    state_file: Annotated[
        Path | None,
        typer.Option(
            envvar="OFFBEAT_STATE_FILE",
            help="File in which series survive a restart; made if missing. Memory alone unless given.",
        ),
    ] = None,
    series_snapshot_s: Annotated[
        float, typer.Option(envvar="OFFBEAT_SERIES_SNAPSHOT_S", help="With --state-file: seconds between two writings.")
    ] = _DEFAULTS.series_snapshot_s,
    max_clients: Annotated[
        int, typer.Option(envvar="OFFBEAT_MAX_CLIENTS", min=1, help="With --tcp: connections open at once.")
    ] = 1000,
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    n_threads: ThreadsOption = 1,
) -> None:
    """Score rows as they arrive, as lines of csv or JSON, and print alarms as lines of JSON.

    Rows come on standard input, or from any number of clients with `--tcp`. A line of names comes before csv lines; without one
    they hold the model's features, in its order. Lines that are no rows are told on standard error, and counted. It ends, with a
    summary, where the input does, or with SIGTERM or SIGINT.

    Examples:

    - `tail -F metrics.csv | offbeat listen models/server-metrics --alarm-k 3 --alarm-n 5`
    - rows of many hosts, some with gaps: `offbeat listen models/server-metrics --tcp 127.0.0.1:7007 --series-column host --missing forward-fill`
    - over restarts: `tail -n 0 -F metrics.csv | offbeat listen models/server-metrics --state-file metrics.series`
    """
    refuse_unused(context, _FLAG_USES)
    address = None if tcp is None else tcp_address(tcp, insecure=insecure)
    config = SeriesConfig(
        max_series=max_series,
        series_ttl_s=series_ttl_s,
        alarm_k=alarm_k,
        alarm_n=alarm_n,
        series_snapshot_s=series_snapshot_s,
    )
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    with load(model, backend=backend, device=device, n_threads=n_threads) as scorer:
        row_format = RowFormat(
            feature_names=scorer.manifest.feature_names,
            series_column=series_column,
            timestamp_column=timestamp_column,
            delimiter=delimiter,
            has_gaps=missing == "forward-fill",
        )
        gaps = GapFilling(row_format.feature_names, config) if row_format.has_gaps else None
        watch = Watch(scorer, config, stride=stride, tells_scores=scores)
        state = None
        if state_file is not None:
            state = ListenState(state_file, scorer.manifest.name, watch.store, config, console.print)
            watch.n_series = state.restore()
        loop = ListenLoop(
            watch,
            row_format,
            _STANDARD_OUTPUT,
            console.print,
            gaps=gaps,
            state=state,
            is_strict=strict,
            max_clients=max_clients,
        )
        if address is None:
            loop.add_standard_input(_STANDARD_INPUT)
        else:
            server = listening_socket(*address)
            loop.add_server(server)
            console.print(f"listening on {address[0]}:{server.getsockname()[1]}, {scorer.backend.description}")
        try:
            with _stopped_by_signals(loop):
                loop.run()
        finally:
            console.print(loop.summary())


@contextmanager
def _stopped_by_signals(loop: ListenLoop) -> Iterator[None]:
    """SIGTERM and SIGINT end the loop well; a second one ends the process."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        loop.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
