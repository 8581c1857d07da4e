"""Affiliation precision and recall: how near alarms and anomalies are, against what chance would be."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray
from offbeat_training.evaluation.harmonic import harmonic_mean
from offbeat_training.evaluation.ranges import Ranges

Floats = NDArray[np.float64]


class AffiliationQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Affiliation precision, recall, and their harmonic mean, between 0 and 1; random flags reach a precision of about 0.5."""

    precision: float
    recall: float
    f1: float


class _Zone(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An anomaly [begin, end], the stretch of time [low, high] nearer to it than to any other, and the alarms there."""

    low: float
    high: float
    begin: float
    end: float
    alarm_begins: Floats
    alarm_ends: Floats


def affiliation_quality(labels: BoolArray, is_flagged: BoolArray) -> AffiliationQuality:
    """Judges flags [row] against `labels` [row] by the distance in time between alarms and anomalies.

    Row i is the time from i to i + 1. Time is cut halfway between neighbouring anomalies into a zone for each. In a zone,
    precision is the mean, over the time flagged, of the chance that a time drawn uniformly from the zone is at least as
    far from the anomaly; recall is the mean, over the anomaly's time y, of the chance that a time drawn uniformly from the
    zone is at least as far from y as the nearest time flagged. Precision is averaged over the zones with a flag in them,
    0 where there is none; recall over all zones, those without a flag counting 0. At least one row must be anomalous.

    Source: Huet, Navarro, Rossi, "Local Evaluation of Time Series Anomaly Detection Algorithms", KDD 2022.
    """
    zones = _zones(Ranges.of(labels), Ranges.of(is_flagged), labels.size)
    flagged = [zone for zone in zones if zone.alarm_begins.size]
    precision = float(np.mean([_precision(zone) for zone in flagged])) if flagged else 0.0
    recall = sum(_recall(zone) for zone in flagged) / len(zones)
    return AffiliationQuality(precision=precision, recall=recall, f1=harmonic_mean(precision, recall))


def _zones(anomalies: Ranges, alarms: Ranges, n_rows: int) -> list[_Zone]:
    begins, ends = anomalies.first.astype(np.float64), anomalies.last + 1.0
    cuts = np.concatenate([[0.0], (ends[:-1] + begins[1:]) / 2, [float(n_rows)]])
    alarm_begins, alarm_ends = alarms.first.astype(np.float64), alarms.last + 1.0
    zones = []
    for low, high, begin, end in zip(cuts[:-1], cuts[1:], begins, ends, strict=True):
        inside = slice(np.searchsorted(alarm_ends, low, side="right"), np.searchsorted(alarm_begins, high, side="left"))
        zones.append(
            _Zone(
                low=float(low),
                high=float(high),
                begin=float(begin),
                end=float(end),
                alarm_begins=np.maximum(alarm_begins[inside], low),
                alarm_ends=np.minimum(alarm_ends[inside], high),
            )
        )
    return zones


def _precision(zone: _Zone) -> float:
    """∫ P(distance of U from the anomaly ≥ distance of x) dx over the time x flagged, divided by that time."""
    begins, ends = zone.alarm_begins, zone.alarm_ends
    inside = np.maximum(np.minimum(ends, zone.end) - np.maximum(begins, zone.begin), 0)
    before = _exceeded(zone, zone.begin - begins) - _exceeded(zone, zone.begin - ends)
    after = _exceeded(zone, ends - zone.end) - _exceeded(zone, begins - zone.end)
    return float((inside + before + after).sum() / (ends - begins).sum())


def _exceeded(zone: _Zone, distances: Floats) -> Floats:
    """∫₀ᵈ P(distance of U from the anomaly ≥ u) du for each distance d, 0 for a negative one.

    On a side of the anomaly with room s the times at least u away are max(s − u, 0) long, the integral s·d − d²/2, d ≤ s.
    """
    total = np.zeros_like(distances)
    for room in (zone.begin - zone.low, zone.high - zone.end):
        d = np.clip(distances, 0, room)
        total += room * d - d**2 / 2
    return total / (zone.high - zone.low)


def _recall(zone: _Zone) -> float:
    """∫ P(|U − y| ≥ distance of y from the flags) dy over the anomaly's times y, divided by its length."""
    begin, end = zone.begin, zone.end
    flagged = np.maximum(np.minimum(zone.alarm_ends, end) - np.maximum(zone.alarm_begins, begin), 0).sum()
    # Times between two alarms belong to the nearer one; before the first and after the last there is but one.
    middles = (zone.alarm_ends[:-1] + zone.alarm_begins[1:]) / 2
    after = _recalled_after(zone.alarm_ends, np.append(middles, zone.high), zone)
    before = _recalled_after(-zone.alarm_begins, -np.insert(middles, 0, zone.low), _mirrored(zone))
    return float(flagged + after + before) / (end - begin)


def _recalled_after(alarm_ends: Floats, until: Floats, zone: _Zone) -> float:
    """The integral over those times y of the anomaly that lie after an alarm's end c and up to where its reach ends.

    There the distance is y − c, and the times of the zone as far from y: below c, c − low; above 2y − c, what is left.
    """
    first = np.maximum(alarm_ends, zone.begin)
    last = np.maximum(np.minimum(until, zone.end), first)
    below = (alarm_ends - zone.low) * (last - first)
    # high − (2y − c) falls to 0 at y = (high + c) / 2.
    turn = np.clip((zone.high + alarm_ends) / 2, first, last)
    above = (zone.high + alarm_ends) * (turn - first) - (turn**2 - first**2)
    return float((below + above).sum() / (zone.high - zone.low))


def _mirrored(zone: _Zone) -> _Zone:
    """The zone with time running backwards."""
    return _Zone(
        low=-zone.high,
        high=-zone.low,
        begin=-zone.end,
        end=-zone.begin,
        alarm_begins=-zone.alarm_ends,
        alarm_ends=-zone.alarm_begins,
    )
