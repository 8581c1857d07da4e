"""The flags of `offbeat score`, in the order of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import msgspec
import typer

from offbeat.bulk import BulkOptions
from offbeat.cli.options import (
    BackendOption,
    DeviceOption,
    IsaOption,
    KeyOption,
    LayoutOption,
    MissingOption,
    StrideOption,
    ThreadsOption,
)
from offbeat.cli.score_request import READ_WHOLE, is_streamed
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection
from offbeat.data.formats import Format, TableFormat, format_of
from offbeat.errors import require
from offbeat.flag_fields import Flags, flag
from offbeat.flag_use import is_npz
from offbeat.security_config import ClientSecurity
from offbeat.targets import check_targets

STANDARD = Path("-")


class ScoreFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What is scored, by which model, here or where, and what the scores are written into."""

    data: Path
    model: str
    server: str | None = None
    model_version: int | None = None
    out: Path = STANDARD
    format_: Format | None = None
    to: TableFormat | None = None
    alarm_k: int | None = None
    alarm_n: int | None = None
    outputs: Path | None = None
    timeout_s: float = 30.0
    engine: Literal["local", "ray"] = "local"

    @property
    def read_as(self) -> Format:
        """The kind of file that the data are."""
        if self.format_ is not None:
            return self.format_
        return "parquet" if self.engine == "ray" else "csv" if self.data == STANDARD else format_of(self.data)

    @property
    def target(self) -> Path | None:
        """The file for the scores; None is standard output."""
        return None if self.out == STANDARD else self.out

    @property
    def written_as(self) -> TableFormat:
        """What scores are written as. Raises ConfigurationError for an npz file."""
        if self.to is not None or self.target is None:
            return self.to or "csv"
        format_ = format_of(self.target)
        require(format_ != "npz", "out", str(self.target), "a csv, JSON Lines, Parquet or Arrow file, or another --to")
        return cast(TableFormat, format_)

    def check(self, columns: ColumnSelection, options: BulkOptions) -> None:
        """Raises ConfigurationError for data that cannot be read so, and for files that cannot be written, before the work."""
        is_whole = not is_streamed(self.read_as, columns.layout, self.outputs, columns.missing)
        require(not (is_whole and self.data == STANDARD), "data", "-", f"a file: {READ_WHOLE}")
        is_by_ending = not is_whole or self.format_ is None or self.format_ == format_of(self.data)
        require(is_by_ending, "format", self.format_, f"a file whose ending says that: {READ_WHOLE}")
        read = [self.data] if self.server else [self.data, Path(self.model)]
        check_targets({"out": self.target, "outputs": self.outputs}, read)
        if self.outputs is not None:
            path = str(self.outputs)
            require(is_npz(self.outputs), "outputs", path, "a file whose name ends in .npz")
            require(options.row_score == "mean", "outputs", path, "none with --row-score newest: they are means")


# Of a name that is in two of them, as `missing`, the later one's field is the flag.
KINDS = (BackendConfig, ClientSecurity, BulkOptions, ColumnSelection, ScoreFlags)
_COLUMNS = typer.Option(
    envvar="OFFBEAT_COLUMNS",
    help="Adds columns, with commas between: p_value, error_std, class_probability, forecast.",
)
_FILES: Flags = {
    "server": flag("host:port of a running server; in this process unless given."),
    "model_version": flag("With --server; the newest by default.", min=1),
    "out": flag("File to write; - is standard output.", "--out", "-o"),
    "format_": flag("Of the data; by the ending, csv for standard input.", "--format", envvar="OFFBEAT_FORMAT"),
    "to": flag("Of the scores; by the ending, csv for standard output."),
}
_LINES: Flags = {
    "series_column": flag(
        "Column that names each row's series, where rows of several take turns; lines come as they are finished."
    ),
    "per": flag("A line for each row of a series, or for each window."),
    "row_score": flag(
        "A row's error: the mean over all windows that cover it, or the newest window's, without look ahead."
    ),
    "alarm_k": flag("Adds a column alarm: true while at least so many ..."),
    "alarm_n": flag("... of so many last lines, this one included, are anomalous."),
    "stride": StrideOption,
    "batch_size": flag("Windows in one call.", envvar="OFFBEAT_SCORE_BATCH_SIZE", min=1),
    "timestamp_column": flag("Column of times; recognised where it is not given."),
    "delimiter": flag("Of a csv file; recognised where it is not given."),
    "key": KeyOption,
    "layout": LayoutOption,
    "missing": MissingOption,
    "outputs": flag("npz file for each line's feature_error, reconstruction and what else there is."),
    "columns": Annotated[str, _COLUMNS],
}
_WHERE: Flags = {
    "timeout_s": flag("With --server: seconds for each call.", min=0.001),
    "tls": flag("With --server: speak TLS; implied by the other TLS flags.", "--tls"),
    "tls_ca": flag("PEM file of the authorities that may vouch for the server."),
    "tls_client_cert": flag("PEM file of the certificates that this client shows."),
    "tls_client_key": flag("PEM file of the first one's private key."),
    "tls_server_name": flag("The name in the server's certificate, if not the target's."),
    "token": flag("For servers that ask for one; a flag is seen by others here, a variable is not."),
    "backend": BackendOption,
    "device": DeviceOption,
    "n_threads": ThreadsOption,
    "isa": IsaOption,
    "engine": flag(
        "ray scores a folder of Parquet files into a folder, on the cluster of RAY_ADDRESS or on this machine."
    ),
}
FLAGS: Flags = {**_FILES, **_LINES, **_WHERE}
