"""Drift as Prometheus' metrics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric

from offbeat.server.http.snapshot import VersionSnapshot
from offbeat.server.telemetry.drift import Difference, Drift, Reference, drift
from offbeat.server.telemetry.recent_windows import RecentWindow

_VERSION = ("model", "version")
# Beyond, only the features that drifted farthest: series are what Prometheus pays for.
_MAX_FEATURES = 64
_LARGEST = "(largest)"


def drift_metrics(versions: list[VersionSnapshot]) -> Iterator[Metric]:
    """The sizes of both samples, and, where they are large enough, how they differ."""
    recent = GaugeMetricFamily("offbeat_drift_recent_windows", "Recent windows in the sample.", labels=_VERSION)
    reference = GaugeMetricFamily(
        "offbeat_drift_reference_windows", "Normal windows that the recent ones are held against.", labels=_VERSION
    )
    scores = _families("offbeat_score", "the scores", _VERSION)
    features = _families("offbeat_input", "a feature", (*_VERSION, "feature"))
    for each in versions:
        labels = (each.name, str(each.version))
        recent.add_metric(labels, len(each.recent))
        if each.reference is None:
            continue
        reference.add_metric(labels, each.reference.n_windows)
        found = _drift(each.reference, each.recent)
        if found is None:
            continue
        _add(scores, labels, found.scores)
        for name, difference in _told(found).items():
            _add(features, (*labels, name), difference)
    yield from (recent, reference, *scores, *features)


def _families(prefix: str, what: str, labels: tuple[str, ...]) -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily(f"{prefix}_drift_psi", f"Population stability index of {what}.", labels=labels),
        GaugeMetricFamily(f"{prefix}_drift_ks", f"Kolmogorov-Smirnov statistic of {what}.", labels=labels),
        GaugeMetricFamily(
            f"{prefix}_mean_shift", f"Distance from the usual mean, in usual units, of {what}.", labels=labels
        ),
    )


def _add(families: tuple[GaugeMetricFamily, ...], labels: tuple[str, ...], difference: Difference) -> None:
    for family, value in zip(families, (difference.psi, difference.ks, difference.mean_shift), strict=True):
        family.add_metric(labels, value)


def _drift(reference: Reference, recent: list[RecentWindow]) -> Drift | None:
    scores = np.array([window.score for window in recent], np.float32)
    return drift(reference, [window.window for window in recent], scores)


def _told(found: Drift) -> dict[str, Difference]:
    if len(found.features) <= _MAX_FEATURES:
        return found.features
    differences = found.features.values()
    largest = Difference(
        psi=max(each.psi for each in differences),
        ks=max(each.ks for each in differences),
        mean_shift=max((each.mean_shift for each in differences), key=abs),
    )
    return {_LARGEST: largest}
