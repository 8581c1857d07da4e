"""The flags of `offbeat listen`, in the order of its help, and which of them go with which others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from offbeat.cli.listen_address import tcp_address
from offbeat.cli.listen_rows import RowFormat
from offbeat.cli.options import BackendOption, DeviceOption, InsecureOption, ThreadsOption
from offbeat.config import BackendConfig
from offbeat.flag_fields import Flags, flag
from offbeat.flag_use import FlagUse
from offbeat.series_config import MAX_STRIDE, SeriesConfig


class ListenFlags(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows come from, what becomes of gaps and of lines that are none, and what is told and kept."""

    tcp: str | None = None
    insecure: bool = False
    missing: Literal["reject", "forward-fill"] = "reject"
    stride: int = 1
    scores: bool = False
    strict: bool = False
    state_file: Path | None = None
    max_clients: int = 1000

    def address(self) -> tuple[str, int] | None:
        """Host and port to take clients at; None is standard input. Raises ConfigurationError."""
        return None if self.tcp is None else tcp_address(self.tcp, insecure=self.insecure)


KINDS = (BackendConfig, SeriesConfig, RowFormat, ListenFlags)
_ROWS: Flags = {
    "tcp": flag("host:port to take clients at, instead of standard input; port 0 takes a free one."),
    "insecure": InsecureOption,
    "series_column": flag("Column that names each row's series; else a feed is one."),
    "timestamp_column": flag("Column that is repeated in the alarms."),
    "delimiter": flag("Of csv lines; recognised where it is not given."),
    "missing": flag("A row with NaN or an empty cell: no row, or filled with the last values of its series."),
}
_ALARMS: Flags = {
    "alarm_k": flag("An alarm: at least so many anomalous ..."),
    "alarm_n": flag("... of so many last windows of a series, this one included."),
    "stride": flag(
        "Rows from one window of a series to the next.", envvar="OFFBEAT_SCORE_STRIDE", min=1, max=MAX_STRIDE
    ),
    "scores": flag("A line for every window, not for alarms alone.", "--scores"),
    "strict": flag("A line that is no row ends its feed; otherwise it is told, counted and left out.", "--strict"),
}
_SERIES: Flags = {
    "max_series": flag("Series remembered; then the least recently used one goes."),
    "series_ttl_s": flag("Forget a series without a row for so long."),
    "state_file": flag("File in which series survive a restart; made if missing. Memory alone unless given."),
    "series_snapshot_s": flag("With --state-file: seconds between two writings."),
}
_MACHINE: Flags = {
    "max_clients": flag("With --tcp: connections open at once.", min=1),
    "backend": BackendOption,
    "device": DeviceOption,
    "n_threads": ThreadsOption,
}
FLAGS: Flags = {**_ROWS, **_ALARMS, **_SERIES, **_MACHINE}

USES = (
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
