"""The parity reports as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from offbeat_export.parity import PARITY_BOUND
from offbeat_export.parity_report import ParityReport


def parity_table(reports: Sequence[ParityReport]) -> Table:
    """One row for each output of each format: largest difference from eager float32, absolute and in units of the bound."""
    table = Table(title=f"Parity with eager float32 (bound {PARITY_BOUND:g})", title_justify="left")
    for heading in ("format", "output"):
        table.add_column(heading)
    for heading in ("max |Δ|", "relative", "of the bound"):
        table.add_column(heading, justify="right")
    for report in reports:
        for name, figures in report.outputs.items():
            share = figures.max_relative / PARITY_BOUND
            table.add_row(
                report.format, name, f"{figures.max_absolute:.2g}", f"{figures.max_relative:.2g}", f"{share:.1%}"
            )
        table.add_row(
            report.format,
            "is_anomaly",
            f"{report.decision_flips} flips",
            "",
            f"{report.n_windows:,} windows",
            end_section=True,
        )
    return table
