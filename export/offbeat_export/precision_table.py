"""The variants of a model as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from offbeat.bundle.precision_record import PrecisionLatency, PrecisionQuality, PrecisionRecord
from offbeat_export.variant_attempt import VariantReport

Figures = dict[str, str]


def precision_table(reports: Sequence[VariantReport]) -> Table:
    """A column for each variant, a row for each figure; what stands beside float32 says so."""
    judged = next((report.record.quality for report in reports if report.record is not None), None)
    title = "Precisions beside float32" if judged is None else f"Precisions beside float32, {_judged_on(judged)}"
    table = Table("", *(report.name for report in reports), title=title, title_justify="left")
    columns = [_figures(report) for report in reports]
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    return table


def _judged_on(quality: PrecisionQuality) -> str:
    if quality.data is None:
        return f"{quality.n:,} {quality.unit}s, {quality.n_anomalous:,} with planted anomalies: no labelled data given"
    return f"{quality.n:,} {quality.unit}s of {quality.data.name}, {quality.n_anomalous:,} anomalous"


def _figures(report: VariantReport) -> Figures:
    outcome = {"": "refused" if report.folder is None else "written"}
    return outcome if report.record is None else _measured(report.record) | outcome


def _measured(record: PrecisionRecord) -> Figures:
    size, error, quality = record.size, record.error, record.quality
    figures = {
        "arithmetic": record.arithmetic,
        "bytes": f"{size.n_bytes:,} ({size.n_bytes / size.fp32_n_bytes:.2f} ×)",
        **{f"µs, batch {each.batch}": _latency(each) for each in record.latency},
        "mean |Δerror| / error": f"{error.mean_relative:.1e}",
        "max |Δerror| / error": f"{error.max_relative:.1e}",
        "same decision": f"{quality.decision_agreement:.2%}",
        "rank correlation": f"{quality.rank_correlation:.6f}",
        f"ROC-AUC (fp32 {quality.fp32_roc_auc:.4f})": f"{quality.roc_auc:.4f}",
    }
    if quality.vus_pr is not None:
        figures[f"VUS-PR (fp32 {quality.fp32_vus_pr:.4f})"] = f"{quality.vus_pr:.4f}"
    if record.integer_quality is not None:
        figures["ROC-AUC, all layers in integers"] = f"{record.integer_quality.roc_auc:.4f}"
    return figures


def _latency(latency: PrecisionLatency) -> str:
    return f"{latency.median_us:,.0f} ({latency.ratio:.2f} ×)"
