"""Judging scores against labels."""

from offbeat_training.evaluation.comparison import Comparison, Contender, compare
from offbeat_training.evaluation.detection import DetectionQuality, measure
from offbeat_training.evaluation.labels import LabelSelection, read_labels
from offbeat_training.evaluation.score_file import ScoreFile, read_scores
from offbeat_training.evaluation.tables import quality_tables
from offbeat_training.evaluation.vus import vus_pr

__all__ = [
    "Comparison",
    "Contender",
    "DetectionQuality",
    "LabelSelection",
    "ScoreFile",
    "compare",
    "measure",
    "quality_tables",
    "read_labels",
    "read_scores",
    "vus_pr",
]
