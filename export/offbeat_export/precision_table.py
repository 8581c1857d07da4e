"""The variants of a model as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from offbeat.bundle.precision_record import EngineFigures, PrecisionQuality
from offbeat_export.variant_attempt import VariantReport

Figures = dict[str, str]


def precision_table(reports: Sequence[VariantReport]) -> Table:
    """A column for each variant, a row for each figure; what stands beside float32 says so."""
    table = Table("", *(report.name for report in reports), title=_title(reports), title_justify="left")
    columns = [_figures(report) for report in reports]
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    table.add_row("", *("refused" if report.folder is None else "written" for report in reports))
    return table


def _title(reports: Sequence[VariantReport]) -> str:
    record = next((report.record for report in reports if report.record is not None), None)
    if record is None:
        return "Precisions"
    quality = record.engines["onnxruntime"].quality
    lines = f"{quality.n:,} {quality.unit}s"
    if quality.data is None:
        return f"Precisions: {lines}, {quality.n_anomalous:,} with planted anomalies (no labelled data given)"
    return f"Precisions: {lines} of {quality.data.name}, {quality.n_anomalous:,} anomalous"


def _figures(report: VariantReport) -> Figures:
    record = report.record
    if record is None:
        return {}
    size = record.size
    figures = {"bytes": f"{size.n_bytes:,} ({size.n_bytes / size.fp32_n_bytes:.2f} ×)"}
    for name, engine in record.engines.items():
        arithmetic = {"arithmetic": record.arithmetic} if name == "onnxruntime" else {}
        figures |= {f"{name}: {label}": value for label, value in (arithmetic | _measured(engine)).items()}
    if record.integer_quality is not None:
        figures["integers in all layers: ROC-AUC"] = _beside_fp32(record.integer_quality)
    return figures


def _measured(engine: EngineFigures) -> Figures:
    error, quality = engine.error, engine.quality
    figures = {
        **{f"µs, batch {each.batch}": f"{each.median_us:,.0f} ({each.ratio:.2f} ×)" for each in engine.latency},
        "mean |Δerror| / error": f"{error.mean_relative:.1e}",
        "max |Δerror| / error": f"{error.max_relative:.1e}",
        "same decision": f"{quality.decision_agreement:.2%}",
        "rank correlation": f"{quality.rank_correlation:.6f}",
        "ROC-AUC": _beside_fp32(quality),
    }
    if quality.vus_pr is not None:
        figures["VUS-PR"] = f"{quality.vus_pr:.4f} (fp32 {quality.fp32_vus_pr:.4f})"
    return figures


def _beside_fp32(quality: PrecisionQuality) -> str:
    return f"{quality.roc_auc:.4f} (fp32 {quality.fp32_roc_auc:.4f})"
