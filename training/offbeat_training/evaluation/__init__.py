"""Judging scores against labels."""

from offbeat_training.evaluation.detection import DetectionQuality, measure, measure_random
from offbeat_training.evaluation.labels import LabelSelection, read_labels
from offbeat_training.evaluation.score_file import ScoreFile, read_scores
from offbeat_training.evaluation.vus import vus_pr

__all__ = [
    "DetectionQuality",
    "LabelSelection",
    "ScoreFile",
    "measure",
    "measure_random",
    "read_labels",
    "read_scores",
    "vus_pr",
]
