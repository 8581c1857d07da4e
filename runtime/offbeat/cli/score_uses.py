"""Which flags of `offbeat score` go with which others."""

from __future__ import annotations

from offbeat.cli.score_request import is_streamed
from offbeat.flag_use import FlagUse

FOLDER_USES = (
    FlagUse(
        flags=("server", "format_", "to", "outputs", "delimiter", "key", "layout"),
        goes_with="--engine local",
        is_used=lambda call: call["engine"] == "local",
    ),
)
_HERE = "scoring in this process, without --server"
FLAG_USES = (
    FlagUse(flags=("key",), goes_with="an npz file", is_used=lambda call: call["read_as"] == "npz"),
    FlagUse(flags=("delimiter",), goes_with="a csv file", is_used=lambda call: call["read_as"] == "csv"),
    FlagUse(
        flags=("model_version",),
        goes_with="--server; in this process, give the version's folder as --model",
        is_used=lambda call: call["server"] is not None,
    ),
    FlagUse(
        flags=("tls", "tls_ca", "tls_client_cert", "tls_client_key", "tls_server_name", "token"),
        goes_with="--server",
        is_used=lambda call: call["server"] is not None,
    ),
    FlagUse(flags=("timeout_s",), goes_with="--server", is_used=lambda call: call["server"] is not None),
    FlagUse(
        flags=("backend", "device", "n_threads", "isa"), goes_with=_HERE, is_used=lambda call: call["server"] is None
    ),
    FlagUse(
        flags=("series_column",),
        goes_with="rows of a csv, JSON Lines, Parquet or Arrow file, without --outputs and --missing interpolate",
        is_used=lambda call: is_streamed(call["read_as"], call["layout"], call["outputs"], call["missing"]),
    ),
    FlagUse(flags=("row_score",), goes_with="--per row", is_used=lambda call: call["per"] == "row"),
)
# Known once model and data are: whether rows of a series are scored, in sliding windows.
SERIES_USES = (
    FlagUse(flags=("per", "row_score", "stride"), goes_with="rows of a series", is_used=lambda call: call["is_series"]),
)
