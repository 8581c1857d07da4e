"""Scoring in this process."""

from offbeat.scorer.checks import check_outputs, check_windows
from offbeat.scorer.scorer import Scorer, load

__all__ = ["Scorer", "check_outputs", "check_windows", "load"]
