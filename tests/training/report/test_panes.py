from __future__ import annotations

import msgspec
import numpy as np
import pytest

from offbeat.errors import DataError
from offbeat_training.evaluation import ScoreFile, compare
from offbeat_training.report import ReportInputs, prepare
from offbeat_training.report.chart import Area, Axis, Chart, Heat, Line, Points
from offbeat_training.report.panes.reconstruction import examples
from offbeat_training.report.panes.scale import error_axis
from offbeat_training.report.panes.training import training_pane
from tests.training.report.samples import series_inputs

replace = msgspec.structs.replace


def chart(inputs: ReportInputs, name: str) -> Chart:
    return next(each for each in prepare(inputs).charts if each.name == name)


def titles(drawn: Chart) -> list[str]:
    return [panel.title for panel in drawn.panels]


def window_inputs() -> ReportInputs:
    """Ready-made windows of one feature, the last five anomalous."""
    values = np.random.default_rng(0).normal(size=(40, 30, 1)).astype(np.float32)
    errors = np.linspace(0.1, 0.5, 40).astype(np.float32)
    scored = ScoreFile(name="beats.csv", unit="window", errors=errors, is_flagged=errors > 0.4, timestamps=None)
    return ReportInputs(
        title="Beats",
        facts=(),
        comparison=compare(scored, np.arange(40) >= 35, {}, 0),
        threshold=0.4,
        feature_names=("value",),
        values=values,
        reconstruction=values + 0.1,
    )


def test_a_full_report_has_every_pane_and_leaves_nothing_out() -> None:
    report = prepare(series_inputs())
    names = [each.name for each in report.charts]
    assert names == ["series", "reconstruction", "errors", "confusion", "roc", "precision-recall", "training"]
    assert report.left_out == ()
    assert [table.headings[0] for table in report.tables] == ["scores"] * 3
    assert [row[0] for row in report.tables[0].rows] == ["scores.csv", "random scores", "PCA"]


def test_what_is_not_given_is_left_out_and_the_report_says_why() -> None:
    bare = replace(series_inputs(), values=None, feature_error=None, reconstruction=None, history=None, threshold=None)
    report = prepare(bare)
    assert [each.name for each in report.charts] == ["series", "errors", "confusion", "roc", "precision-recall"]
    reasons = {each.pane: each.why for each in report.left_out}
    assert "--data" in reasons["features over time"]
    assert "--outputs" in reasons["contribution of each feature"]
    assert "--outputs" in reasons["original and reconstruction"]
    assert "--history" in reasons["training history"]
    assert "threshold" in reasons


def test_the_series_is_shown_feature_by_feature_over_error_lanes_and_contributions() -> None:
    drawn = chart(series_inputs(), "series")
    assert drawn.shares_x
    assert titles(drawn)[0] == "cpu"
    assert titles(drawn)[3:] == [
        "reconstruction error",
        "true and found anomalies",
        "contribution of each feature, in units of the threshold",
    ]


def test_the_highest_value_of_a_long_series_is_on_the_page() -> None:
    inputs = series_inputs(100_000)
    assert inputs.values is not None
    inputs.values[12_345, 2] = 9999.0
    panel = next(panel for panel in chart(inputs, "series").panels if panel.title == "disk")
    line = next(mark for mark in panel.marks if isinstance(mark, Line))
    assert line.y.max() == 9999.0
    assert line.y.size < 15_000


def test_contributions_keep_the_highest_of_each_column_and_the_heaviest_feature_on_top() -> None:
    inputs = series_inputs(100_000)
    assert inputs.feature_error is not None
    assert inputs.threshold is not None
    inputs.feature_error[12_345, 1] = 50 * inputs.threshold
    panel = chart(inputs, "series").panels[-1]
    heat = next(mark for mark in panel.marks if isinstance(mark, Heat))
    assert panel.y.names[-1] == "cpu"
    assert heat.values[panel.y.names.index("memory")].max() == pytest.approx(50)
    assert heat.values.shape[1] + 1 == heat.edges.size
    assert heat.values.shape[1] < 3001


def test_of_many_features_those_that_contribute_most_are_drawn_and_the_note_says_so() -> None:
    inputs = series_inputs(features=tuple(f"feature {i}" for i in range(50)))
    drawn = chart(inputs, "series")
    assert titles(drawn).index("reconstruction error") == 8
    assert titles(drawn)[0] == "feature 0"
    assert "8 of 50 features" in drawn.note
    assert "40 of 50 contributions" in drawn.note
    assert "4 of 50 features" in chart(inputs, "reconstruction").note


def test_windows_have_no_series_but_error_lanes_and_reconstruction() -> None:
    report = prepare(window_inputs())
    assert titles(report.charts[0]) == ["reconstruction error", "true and found anomalies"]
    assert "no place in time" in {each.pane: each.why for each in report.left_out}["features over time"]
    panels = chart(window_inputs(), "reconstruction").panels
    assert [panel.title.split(",")[0] for panel in panels] == ["found", "false alarm", "normal"]
    assert panels[0].marks[0].x.size == 30  # type: ignore[union-attr]


def test_the_histogram_holds_every_line_and_the_threshold() -> None:
    inputs = series_inputs()
    (panel,) = chart(inputs, "errors").panels
    for name, n_lines in (("normal rows", 1880), ("anomalous rows", 120)):
        area = next(mark for mark in panel.marks if mark.name == name)
        assert isinstance(area, Area)
        heights = area.y[1:-2:2]
        assert heights[heights >= 1].sum() == n_lines
    rule = panel.marks[-1]
    assert isinstance(rule, Line)
    assert rule.x.tolist() == [inputs.threshold] * 2


def test_curves_begin_and_end_where_they_must_and_the_flags_lie_on_them() -> None:
    inputs = series_inputs(50_000)
    roc, pr = chart(inputs, "roc").panels[0], chart(inputs, "precision-recall").panels[0]
    for panel in (roc, pr):
        assert len(panel.marks) == 4
        assert all(mark.x.size <= 800 for mark in panel.marks if isinstance(mark, Line))
    model = roc.marks[0]
    assert isinstance(model, Line)
    assert (model.x[0], model.y[0], model.x[-1], model.y[-1]) == (0, 0, 1, 1)
    point, quality = pr.marks[-1], inputs.model.quality
    assert isinstance(point, Points)
    assert (point.x[0], point.y[0]) == (quality.recall, quality.precision)
    assert f"{quality.pr_auc:.3f}" in pr.marks[0].name


def test_the_confusion_matrix_tells_counts_and_shares_of_each_truth() -> None:
    inputs = series_inputs()
    (heat,) = chart(inputs, "confusion").panels[0].marks
    assert isinstance(heat, Heat)
    confusion = inputs.model.quality.confusion
    assert heat.words[0][1] == f"{confusion.true_positives:,}\n{confusion.recall:.1%}"
    assert heat.words[1][1].split("\n")[0] == f"{confusion.false_positives:,}"
    np.testing.assert_allclose(heat.values.sum(axis=1), 1)


def test_examples_are_the_clearest_the_worst_and_the_usual() -> None:
    errors = np.array([1.0, 2.0, 3.0, 9.0, 8.0, 0.5, 7.0])
    labels = np.array([False, False, False, True, True, True, False])
    chosen = examples(errors, labels, errors > 5)
    assert [each.line for each in chosen] == [3, 6, 5, 1]


def test_training_marks_the_lowest_held_out_loss() -> None:
    history = series_inputs().history
    assert history is not None
    history.losses["validation_loss"][30] = 0.001
    marks = training_pane(history).panels[0].marks
    assert [mark.name for mark in marks[:2]] == ["training loss", "validation loss"]
    assert marks[2].name == "lowest, 0.001 in epoch 31"


@pytest.mark.parametrize("errors", [np.zeros(5), np.array([0.0, 1e-30, 1.0, 1e30]), np.full(3, 2.0), np.array([5.0])])
def test_every_error_has_an_axis_that_holds_it(errors: np.ndarray) -> None:
    for threshold in (None, 0.5):
        axis = error_axis("error", errors, threshold)
        assert axis.low is not None
        assert axis.high is not None
        assert axis.low < axis.high
        assert axis.high >= errors.max()
        assert axis.scale == "linear" or axis.low > 0
        assert isinstance(axis, Axis)


@pytest.mark.parametrize("field", ["values", "feature_error", "reconstruction"])
@pytest.mark.parametrize("spoil", [lambda array: array[:-1], lambda array: array[:, :2], lambda array: array * np.nan])
def test_parts_that_do_not_fit_are_an_error(field: str, spoil: object) -> None:
    inputs = series_inputs()
    with pytest.raises(DataError, match=field):
        replace(inputs, **{field: spoil(getattr(inputs, field))})  # type: ignore[operator]
