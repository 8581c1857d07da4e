"""The variants of a model as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from offbeat.bundle.precision_record import PrecisionQuality, PrecisionRecord
from offbeat_export.variant_attempt import VariantReport

_FIGURES = ("size", "latency", "mean relative |Δerror|", "max", "agreement", "ROC-AUC", "VUS-PR")


def precision_table(reports: Sequence[VariantReport]) -> Table:
    """One row for each variant that was measured, each figure beside float32's."""
    judged = next((report.record.quality for report in reports if report.record is not None), None)
    table = Table(
        title=f"Precisions beside float32{'' if judged is None else _judged_on(judged)}", title_justify="left"
    )
    for heading in ("model", "arithmetic"):
        table.add_column(heading)
    for heading in _FIGURES:
        table.add_column(heading, justify="right")
    table.add_column("")
    for report in reports:
        figures = ("", *[""] * len(_FIGURES)) if report.record is None else _row(report.record)
        table.add_row(report.name, *figures, "refused" if report.folder is None else "written")
    return table


def _judged_on(quality: PrecisionQuality) -> str:
    if quality.data is None:
        return f", {quality.n:,} {quality.unit}s, {quality.n_anomalous:,} of them planted anomalies: no labelled data given"
    return f", {quality.n:,} {quality.unit}s of {quality.data.name}, {quality.n_anomalous:,} anomalous"


def _row(record: PrecisionRecord) -> tuple[str, ...]:
    size, error, quality = record.size, record.error, record.quality
    latency = ", ".join(f"{figures.ratio:.2f} (batch {figures.batch})" for figures in record.latency)
    vus_pr = "" if quality.vus_pr is None else f"{quality.vus_pr:.4f} of {quality.fp32_vus_pr:.4f}"
    return (
        record.arithmetic,
        f"{size.n_bytes / size.fp32_n_bytes:.2f}",
        latency,
        f"{error.mean_relative:.1e}",
        f"{error.max_relative:.1e}",
        f"{quality.decision_agreement:.2%}",
        f"{quality.roc_auc:.4f} of {quality.fp32_roc_auc:.4f}",
        vus_pr,
    )
