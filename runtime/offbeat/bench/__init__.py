"""Measuring engines beside a reference, comparing two such measurements, and what they recommend for a server."""

from offbeat.bench.comparison import Comparison, Thresholds, compare
from offbeat.bench.machine import Machine, this_machine
from offbeat.bench.recommendation import Recommendation, read_recommendation
from offbeat.bench.samples import Result, Sample, read_result

__all__ = [
    "Comparison",
    "Machine",
    "Recommendation",
    "Result",
    "Sample",
    "Thresholds",
    "compare",
    "read_recommendation",
    "read_result",
    "this_machine",
]
