from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from rich.console import Console

from offbeat.bundle.tolerance import difference, may_flip, unit
from offbeat.errors import ParityError
from offbeat.result import FloatArray
from offbeat_export import PARITY_BOUND
from offbeat_export.eager import Outputs, evaluate
from offbeat_export.parity_cases import BATCH_SIZES, ParityCase, parity_cases
from offbeat_export.parity_measurement import measure_parity
from offbeat_export.parity_report import ParityReport
from offbeat_export.parity_table import parity_table
from offbeat_export.row_spread import row_spread
from offbeat_export.window_source import KINDS, OUTLIER, WindowSource
from offbeat_training.checkpoint import Checkpoint
from tests.export.checkpoints import LENGTH, lstm_checkpoint, table_checkpoint
from tests.export.scorers import scorer_of

Change = Callable[[Outputs], None]


class AlteredBackend:
    """The eager scorer with its outputs altered: a format with a planted defect."""

    name = description = "altered"

    def __init__(self, checkpoint: Checkpoint, change: Change) -> None:
        self._module, self._manifest = scorer_of(checkpoint)
        self._change = change

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        """The eager outputs, altered."""
        result = evaluate(self._module, window, self._manifest.output_names)
        self._change(result)
        return {name: result[name] for name in outputs}

    def close(self) -> None:
        """Nothing to free."""


def _measure(checkpoint: Checkpoint, change: Change) -> ParityReport:
    module, manifest = scorer_of(checkpoint)
    cases = parity_cases(manifest, WindowSource(manifest, checkpoint.validation_windows.numpy()))
    (report,) = measure_parity(module, manifest, {"altered": AlteredBackend(checkpoint, change)}, cases)
    return report


def _scale(name: str, factor: float) -> Change:
    def change(outputs: Outputs) -> None:
        outputs[name] = (outputs[name].astype(np.float64) * factor).astype(np.float32)

    return change


def test_eager_outputs_that_are_not_finite_are_refused_by_case_and_output() -> None:
    checkpoint = table_checkpoint()
    module, manifest = scorer_of(checkpoint)
    windows = checkpoint.validation_windows.numpy().copy()
    windows[1] = 1e30
    with pytest.raises(ParityError, match=r"eager gives \w+ that is not finite for window 1 in the case 'absurd'"):
        measure_parity(module, manifest, {}, [ParityCase(name="absurd", window=windows)])


def test_a_format_that_equals_eager_passes_with_nothing_to_report() -> None:
    report = _measure(lstm_checkpoint(), lambda outputs: None)
    report.check()
    assert report.decision_flips == 0
    assert {figures.max_relative for figures in report.outputs.values()} == {0.0}
    assert report.to_manifest().worst_case == "no difference"
    assert report.float64_error == report.eager_float64_error > 0


@pytest.mark.parametrize(
    "name", ["reconstruction_error", "anomaly_score", "feature_error", "step_error", "reconstruction"]
)
def test_an_output_beyond_the_bound_is_refused_by_name_case_and_window(name: str) -> None:
    report = _measure(lstm_checkpoint(), _scale(name, 1 + 100 * PARITY_BOUND))
    with pytest.raises(
        ParityError, match=rf"altered misses the parity bound: {name} of window \d+ in the case '\w+, batch \d+"
    ):
        report.check()


def test_a_refusal_tells_how_far_eager_itself_is_from_float64_on_that_window() -> None:
    def spoil(outputs: Outputs) -> None:
        outputs["reconstruction_error"] = outputs["reconstruction_error"] + np.float32(1)

    checkpoint = lstm_checkpoint()
    module, manifest = scorer_of(checkpoint)
    windows = checkpoint.validation_windows.numpy()[:1]
    backends = {"altered": AlteredBackend(checkpoint, spoil)}
    (report,) = measure_parity(module, manifest, backends, [ParityCase(name="one", window=windows)])
    with pytest.raises(ParityError) as refused:
        report.check()
    assert report.worst is not None
    assert 0 < report.worst.eager_float64 == report.eager_float64_error < PARITY_BOUND
    assert f"is {report.worst.eager_float64:.3g} relative away from a float64 run" in str(refused.value)


def test_differences_within_the_bound_pass_and_are_reported() -> None:
    report = _measure(table_checkpoint(), _scale("anomaly_score", 1 + 0.5 * PARITY_BOUND))
    report.check()
    assert 0.1 * PARITY_BOUND < report.outputs["anomaly_score"].max_relative < PARITY_BOUND
    assert report.to_manifest().worst_case.startswith("anomaly_score: ")


def test_a_decision_that_flips_away_from_the_threshold_is_refused() -> None:
    def flip(outputs: Outputs) -> None:
        outputs["is_anomaly"] = ~outputs["is_anomaly"]

    report = _measure(lstm_checkpoint(), flip)
    assert report.decision_flips == report.n_windows
    with pytest.raises(ParityError, match=rf"decides {report.n_windows} of {report.n_windows} windows unlike eager"):
        report.check()


def test_a_decision_may_flip_only_beside_the_threshold() -> None:
    _, manifest = scorer_of(lstm_checkpoint(threshold=0.5))
    errors = np.array([0.5, 0.5 + 9e-6, 0.5 + 2e-5, 0.4, 1e9])
    assert may_flip(errors, manifest).tolist() == [True, True, False, False, False]


def test_a_format_less_accurate_than_twice_eager_is_refused_even_within_the_bound() -> None:
    report = _measure(lstm_checkpoint(), _scale("reconstruction_error", 1 + 0.2 * PARITY_BOUND))
    with pytest.raises(ParityError, match="away from a float64 run"):
        report.check()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_a_number_is_infinitely_far(value: float) -> None:
    def spoil(outputs: Outputs) -> None:
        outputs["reconstruction_error"] = outputs["reconstruction_error"].copy()
        outputs["reconstruction_error"][0] = value

    with pytest.raises(ParityError, match="reconstruction_error of window 0"):
        _measure(table_checkpoint(), spoil).check()


def test_an_output_of_another_shape_or_type_is_refused() -> None:
    def widen(outputs: Outputs) -> None:
        outputs["anomaly_score"] = outputs["anomaly_score"].astype(np.float64)

    with pytest.raises(ParityError, match=r"anomaly_score as float64 \[1\] in the case 'random, batch 1'"):
        _measure(table_checkpoint(), widen)


def test_equal_infinities_do_not_differ() -> None:
    seen = np.array([np.inf, -np.inf, np.nan, np.nan, 1.0])
    expected = np.array([np.inf, np.inf, np.nan, 1.0, 3.0])
    assert difference(seen, expected).tolist() == [0.0, np.inf, 0.0, np.inf, 2.0]


def test_a_reconstruction_is_never_asked_for_more_digits_than_float32_has() -> None:
    checkpoint = lstm_checkpoint(1, mean=100_000.0, scale=0.01)
    module, manifest = scorer_of(checkpoint)
    window = checkpoint.validation_windows.numpy()
    eager = evaluate(module, window, manifest.output_names)
    one_ulp = np.spacing(eager["reconstruction"].max())
    assert (PARITY_BOUND * unit("reconstruction", eager, window, manifest) > one_ulp).all()


def test_a_score_is_allowed_what_follows_from_its_error() -> None:
    checkpoint = lstm_checkpoint(1, threshold=1e-3)
    module, manifest = scorer_of(checkpoint)
    window = checkpoint.validation_windows.numpy()
    eager = evaluate(module, window, manifest.output_names)
    np.testing.assert_allclose(unit("anomaly_score", eager, window, manifest), 500.0)


def test_cases_cover_every_kind_batch_and_length() -> None:
    checkpoint = lstm_checkpoint()
    _, manifest = scorer_of(checkpoint)
    cases = list(parity_cases(manifest, WindowSource(manifest, checkpoint.validation_windows.numpy())))
    assert {case.name.split(",")[0] for case in cases} == {*KINDS, "mixed"}
    assert {len(case.window) for case in cases} == {1, 2, 3, 7, 64, 512}
    assert {case.window.shape[1] for case in cases} == {1, 2, LENGTH, 4 * LENGTH}
    assert all(case.window.dtype == np.float32 and np.isfinite(case.window).all() for case in cases)


def test_windows_are_of_the_kind_asked_for() -> None:
    checkpoint = lstm_checkpoint(2)
    _, manifest = scorer_of(checkpoint)
    real = checkpoint.validation_windows.numpy()
    source = WindowSource(manifest, real)
    mean, scale = np.array(manifest.normalisation.mean), np.array(manifest.normalisation.scale)
    np.testing.assert_array_equal(source.draw("real", 3), real[:3])
    np.testing.assert_array_equal(source.draw("real", 1, LENGTH + 2)[0, LENGTH:], real[1, :2])
    assert not source.draw("zero", 2).any()
    constant = source.draw("constant", 4)
    assert (constant == constant[:, :1]).all()
    outliers = np.abs((source.draw("extreme", 50) - mean) / scale)
    assert 0.05 < (outliers > 0.9 * OUTLIER).mean() < 0.2
    assert np.abs((source.draw("random", 50) - mean) / scale).max() < 10


def test_windows_stay_finite_where_the_scale_is_huge() -> None:
    checkpoint = lstm_checkpoint(1, scale=1e36)
    _, manifest = scorer_of(checkpoint)
    assert np.isfinite(WindowSource(manifest, checkpoint.validation_windows.numpy()).draw("extreme", 20)).all()


def test_the_table_shows_every_output_of_every_format() -> None:
    report = _measure(table_checkpoint(), _scale("anomaly_score", 1 + 0.5 * PARITY_BOUND))
    console = Console(file=io.StringIO(), width=80)
    console.print(parity_table([report], {"native": "no such backend"}))
    text = console.file.getvalue()
    for word in ("altered", "anomaly_score", "feature_error", "0 flips", f"{report.n_windows:,}", "one row, any batch"):
        assert word in text
    assert "native: not measured: no such backend" in text
    assert max(map(len, text.splitlines())) <= 80


def test_means_are_taken_over_every_element_of_every_case() -> None:
    def shift(outputs: Outputs) -> None:
        outputs["anomaly_score"] = outputs["anomaly_score"] + np.float32(2.0**-20)

    report = _measure(table_checkpoint(), shift)
    figures = report.to_manifest().outputs["anomaly_score"]
    assert figures.mean_absolute == pytest.approx(2.0**-20, rel=0.1)
    assert figures.mean_relative == pytest.approx(2.0**-20, rel=0.1)
    assert figures.max_absolute >= figures.mean_absolute
    assert report.to_manifest().outputs["feature_error"].mean_absolute == 0.0


class LeakyBackend(AlteredBackend):
    """Adds a little of the batch's first row to every other row's error."""

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        """The eager outputs, the errors leaking."""
        result = super().run(window, outputs)
        error = result["reconstruction_error"]
        result["reconstruction_error"] = (error * (1 + 4e-6 * (np.arange(len(error)) > 0))).astype(np.float32)
        return result


def test_a_format_whose_rows_depend_on_their_batch_is_refused() -> None:
    checkpoint = lstm_checkpoint()
    module, manifest = scorer_of(checkpoint)
    cases = list(parity_cases(manifest, WindowSource(manifest, checkpoint.validation_windows.numpy())))
    backends = {"leaky": LeakyBackend(checkpoint, lambda outputs: None)}
    (report,) = measure_parity(module, manifest, backends, cases)
    assert report.row_spread == pytest.approx(4e-6, rel=0.2)
    with pytest.raises(ParityError, match=r"leaky moves a row's error by 4\.\d+e-06 relative with its batch"):
        report.check()
    (sound,) = measure_parity(module, manifest, {"sound": AlteredBackend(checkpoint, lambda outputs: None)}, cases)
    assert sound.row_spread is not None
    assert sound.row_spread <= 1e-6


def test_a_row_is_tried_in_other_places_and_other_batch_sizes() -> None:
    seen: list[int] = []

    class Watching(AlteredBackend):
        def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
            seen.append(len(window))
            return super().run(window, outputs)

    checkpoint = table_checkpoint()
    backend = Watching(checkpoint, lambda outputs: None)
    window = checkpoint.validation_windows.numpy()
    assert row_spread(backend, window, backend.run(window, ("reconstruction_error",))["reconstruction_error"]) <= 1e-6
    assert seen == [20, *[1] * 9, 20]


def test_a_large_model_is_measured_in_mixed_batches_and_a_huge_one_in_small_ones() -> None:
    checkpoint = lstm_checkpoint(2)
    _, manifest = scorer_of(checkpoint)

    def sizes(n_parameters: int) -> tuple[set[int], set[int]]:
        larger = msgspec.structs.replace(
            manifest, architecture=msgspec.structs.replace(manifest.architecture, n_parameters=n_parameters)
        )
        source = WindowSource(larger, checkpoint.validation_windows.numpy())
        cases = list(parity_cases(larger, source))
        mixed = {len(case.window) for case in cases if case.is_mixed}
        return mixed, {len(case.window) for case in cases if not case.is_mixed}

    assert sizes(1_000) == ({1, 2, 3, 7, 64, 512}, {1, 2, 3, 7, 64, 512})
    assert sizes(10_000_000) == ({1, 2, 3, 7, 64, 512}, {1, 2, 3, 7})
    # Three windows of one or two steps are still few enough products here, and no longer there.
    assert sizes(10_000_000_000) == ({1, 2, 3}, set())
    assert sizes(100_000_000_000) == ({1, 2}, set())


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_mixed_batches_hold_every_kind_in_turn_beginning_with_another_for_each_size(size: int) -> None:
    checkpoint = lstm_checkpoint(2)
    _, manifest = scorer_of(checkpoint)
    source = WindowSource(manifest, checkpoint.validation_windows.numpy())
    (case,) = [case for case in parity_cases(manifest, source) if case.name == f"mixed, batch {size}"]
    is_zero = [not window.any() for window in case.window]
    first = BATCH_SIZES.index(size)
    assert is_zero == [(first + index) % len(KINDS) == KINDS.index("zero") for index in range(size)]


def test_denormal_windows_are_below_the_smallest_normal_number_and_not_zero() -> None:
    _, manifest = scorer_of(lstm_checkpoint(2))
    window = WindowSource(manifest, lstm_checkpoint(2).validation_windows.numpy()).draw("denormal", 8)
    assert (np.abs(window) < np.finfo(np.float32).smallest_normal).all()
    assert window.any()


@pytest.mark.parametrize("kind", KINDS)
def test_windows_lie_in_memory_as_backends_take_them(kind: str) -> None:
    _, manifest = scorer_of(lstm_checkpoint(2))
    source = WindowSource(manifest, lstm_checkpoint(2).validation_windows.numpy())
    for length in (None, 3, 4 * LENGTH):
        window = source.draw(kind, 3, length)
        assert window.flags.c_contiguous
        assert window.dtype == np.float32
