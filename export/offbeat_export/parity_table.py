"""The parity reports as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from offbeat_export.parity import PARITY_BOUND, ROW_BOUND
from offbeat_export.parity_report import ParityReport

_HEADINGS = ("max |Δ|", "mean |Δ|", "max rel.", "mean rel.", "of bound")


def parity_table(reports: Sequence[ParityReport], unmeasured: Mapping[str, str] | None = None) -> Table:
    """One row for each output of each format: differences from eager float32, absolute and relative in the bound's units.

    Below them the decisions that flipped, and how far the error of one and the same row moved with its batch. Formats that
    are `unmeasured` stand below it with why. It fits into 80 columns.
    """
    title = f"Parity with eager float32 (bound {PARITY_BOUND:g}; one row in any batch {ROW_BOUND:g})"
    absent = "\n".join(f"{name}: not measured: {reason}" for name, reason in (unmeasured or {}).items())
    table = Table(title=title, caption=escape(absent) or None, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.title_justify = table.caption_justify = "left"
    table.add_column("format, output", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        _add_report(table, report)
    return table


def _add_report(table: Table, report: ParityReport) -> None:
    table.add_row(report.format, f"{report.n_windows:,}", "windows", style="bold")
    for name, figures in report.outputs.items():
        numbers = (figures.max_absolute, figures.mean_absolute, figures.max_relative, figures.mean_relative)
        share = figures.max_relative / PARITY_BOUND
        table.add_row(f"  {name}", *(f"{number:.2g}" for number in numbers), f"{share:.1%}")
    table.add_row("  is_anomaly", f"{report.decision_flips} flips")
    if report.row_spread is not None:
        share = report.row_spread / ROW_BOUND
        table.add_row("  one row, any batch", "", "", f"{report.row_spread:.2g}", "", f"{share:.1%}")
    table.add_section()
