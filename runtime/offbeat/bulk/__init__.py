"""Scores of more rows than memory holds: rows of files and frames in, lines out, in a stream."""

from offbeat.bulk.alarm_rule import AlarmRule
from offbeat.bulk.frames import score_table
from offbeat.bulk.options import BulkOptions
from offbeat.bulk.row_scoring import RowScoring
from offbeat.bulk.scores import Scores
from offbeat.bulk.source import LocalSource, ScoreSource

__all__ = ["AlarmRule", "BulkOptions", "LocalSource", "RowScoring", "ScoreSource", "Scores", "score_table"]
