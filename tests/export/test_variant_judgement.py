from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from offbeat.bundle import ModelVersion
from offbeat.bundle.precision_record import WeightPrecision
from offbeat.errors import ParityError
from offbeat.result import FloatArray
from offbeat_export.eager import evaluate
from offbeat_export.parity_report import ParityReport, Worst
from offbeat_export.quality_data import planted_anomalies
from offbeat_export.quality_measurement import line_errors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.variant_candidate import VariantSource
from offbeat_export.variant_judgement import Float32Model, tolerance_of
from offbeat_export.variant_parity import bound_of, check_extreme_decisions
from offbeat_export.variant_weights import quantise_weights, with_weights
from tests.export.scorers import scorer_of
from tests.export.variants import table


class Distorted:
    """Eager, with every error changed by a function, and what follows from it left as it is."""

    name = description = "distorted"

    def __init__(self, module: ScoringModule, distort) -> None:
        self._module, self._distort = module, distort

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        computed = evaluate(self._module, window, self._module.output_names)
        error = computed["reconstruction_error"]
        changed = computed | {"reconstruction_error": self._distort(error).astype(error.dtype)}
        return {name: changed[name] for name in outputs}

    def close(self) -> None: ...


def _same(error: NDArray[np.generic]) -> NDArray[np.generic]:
    return error


def _models(precision: WeightPrecision) -> tuple[Float32Model, VariantSource]:
    module, manifest = scorer_of(table())
    weights = quantise_weights(module, manifest, precision)
    normal = table().validation_windows.numpy()
    data = planted_anomalies(normal, manifest)
    fp32 = Float32Model(
        version=ModelVersion(Path(), manifest),
        module=module,
        backend=Distorted(module, _same),
        normal=normal,
        data=data,
        errors=line_errors(Distorted(module, _same), data),
        calibration=None,
        max_quality_loss=0.005,
    )
    source = VariantSource(
        module=with_weights(module, weights), manifest=manifest, weights=weights, precision=precision
    )
    return fp32, source


def _tolerance(precision: WeightPrecision, own=_same, integers=_same, max_loss: float = 0.005):
    fp32, source = _models(precision)
    fp32 = dataclasses.replace(fp32, max_quality_loss=max_loss)
    engines = (Distorted(source.module, distort) for distort in (own, integers))
    return tolerance_of(fp32, source, "float32", *engines)


def test_sixteen_bits_are_held_to_float32s_bound_whatever_integers_do() -> None:
    tolerance = _tolerance("bf16", integers=lambda error: error * 1.01)
    assert (tolerance.bound, tolerance.integer_quality) == (1e-5, None)
    with pytest.raises(ParityError, match="misses the parity bound"):
        _tolerance("bf16", own=lambda error: error * 1.01)


def test_int8_has_room_for_twice_what_integers_differ_by() -> None:
    tolerance = _tolerance("int8", integers=lambda error: error * 1.01)
    assert tolerance.bound == pytest.approx(0.02, rel=0.1)
    assert tolerance.integer_quality is not None
    assert tolerance.integer_quality.roc_auc_loss == 0


def test_a_float32_graph_of_int8_weights_is_held_to_float32s_bound_itself() -> None:
    with pytest.raises(ParityError, match="misses the parity bound"):
        _tolerance("int8", own=lambda error: error * 1.001)


def test_integers_that_detect_worse_are_kept_out_by_the_bound() -> None:
    tolerance = _tolerance("int8", integers=lambda error: error * (1 + 0.04 * np.sin(1e4 * error)), max_loss=0.0)
    assert (tolerance.bound, tolerance.integer_quality) == (1e-5, None)


def test_integers_that_differ_by_more_than_any_bound_are_kept_out() -> None:
    tolerance = _tolerance("int8", integers=lambda error: error * 1.3)
    assert (tolerance.bound, tolerance.integer_quality) == (1e-5, None)


def test_a_bound_is_twice_the_worst_to_two_digits_and_never_below_float32s() -> None:
    def report(relative: float) -> ParityReport:
        worst = Worst(
            relative=relative,
            output="feature_error",
            case="zero, batch 1",
            window=0,
            n_steps=None,
            expected=1.0,
            seen=1.1,
            eager_float64=0.0,
        )
        return ParityReport(format="onnx", worst=worst)

    assert bound_of([ParityReport(format="onnx")]) == 1e-5
    assert bound_of([report(1e-7)]) == 1e-5
    assert bound_of([report(1e-4), report(0.001234)]) == pytest.approx(0.0025)
    with pytest.raises(
        ParityError, match=r"onnx differs from eager by 0\.06 relative in feature_error, case 'zero, batch 1'"
    ):
        bound_of([report(0.06)])


def test_outliers_that_a_static_graph_would_decide_otherwise_are_an_error() -> None:
    fp32, source = _models("int8")

    class Calm(Distorted):
        def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
            decisions = {"is_anomaly": np.zeros(len(window), np.bool_)}
            return {name: decisions.get(name, array) for name, array in super().run(window, outputs).items()}

    check_extreme_decisions(source.module, source.manifest, Distorted(source.module, _same), fp32.windows())
    with pytest.raises(ParityError, match=r"static scales decide .* of 64 windows with outliers unlike eager"):
        check_extreme_decisions(source.module, source.manifest, Calm(source.module, _same), fp32.windows())
    with pytest.raises(ParityError, match=r"static scales decide"):
        tolerance_of(fp32, source, "int8-static", Calm(source.module, _same), None)


def test_the_manifests_threshold_is_the_one_that_decisions_are_compared_with() -> None:
    fp32, source = _models("int8")
    _, quality = fp32.judge(Distorted(source.module, lambda error: error * 0))
    flagged = float(np.mean(fp32.errors > fp32.version.manifest.threshold.value))
    assert quality.decision_agreement == pytest.approx(1 - flagged)
    assert msgspec.structs.replace(quality, max_loss=1.0).is_allowed
