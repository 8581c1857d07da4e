"""Reports of a comparison: one HTML page, and PNG files from the same prepared charts."""

from offbeat_training.report.history import TrainingHistory, read_history
from offbeat_training.report.inputs import ReportInputs
from offbeat_training.report.page import write_html
from offbeat_training.report.pictures import write_pngs
from offbeat_training.report.report import Report, prepare
from offbeat_training.report.sources import ReportSources
from offbeat_training.report.targets import ReportTargets

__all__ = [
    "Report",
    "ReportInputs",
    "ReportSources",
    "ReportTargets",
    "TrainingHistory",
    "prepare",
    "read_history",
    "write_html",
    "write_pngs",
]
