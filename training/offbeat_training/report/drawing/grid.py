"""Where the panels of a chart lie, in fractions of the whole."""

from __future__ import annotations

import msgspec

from offbeat_training.report.chart import Chart, Heat, Panel
from offbeat_training.report.drawing.words import shortened

# Room for the panel's title above it, and for the ticks below it.
TITLE_PX = 24
TICKS_PX = 22
AXIS_TITLE_PX = 20
_COLUMN_GAP = 0.045
# The buttons have a line of their own, or a legend would lie under them.
_BUTTONS_PX = 30
_LEGEND_ROW_PX = 20
_WIDTH_PX = {True: 1100, False: 470}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A panel and its rectangle: `left` to `right` and `bottom` to `top`, from 0 to 1 inside the margins."""

    panel: Panel
    left: float
    right: float
    bottom: float
    top: float
    is_lowest: bool


def inner_height_px(chart: Chart) -> int:
    """The height of all rows with what lies between them, without the legend and the last row's ticks."""
    rows = _rows(chart)
    return sum(_row_px(chart, row) for row in rows) - _below_px(chart, rows[-1])


def below_px(chart: Chart) -> int:
    """Room for ticks and titles under the last row; a time has a second line, the day."""
    lowest = _rows(chart)[-1]
    has_title, is_time = any(panel.x.title for panel in lowest), any(panel.x.scale == "time" for panel in lowest)
    return TICKS_PX + 8 + (AXIS_TITLE_PX if has_title else 0) + (16 if is_time else 0)


def above_px(chart: Chart) -> int:
    """Room for buttons and legend over the first row."""
    return _BUTTONS_PX + _LEGEND_ROW_PX * n_legend_rows(chart) + 8


def n_legend_rows(chart: Chart) -> int:
    """Estimated from the length of its names."""
    marks = [mark for panel in chart.panels for mark in panel.marks if not isinstance(mark, Heat)]
    widths = {mark.name: 50 + 7 * len(shortened(mark.name)) for mark in marks if mark.in_legend}
    # Plotly gives every entry the width of the widest.
    widest = max(widths.values(), default=1)
    n_columns = max(1, _WIDTH_PX[chart.is_wide] // widest)
    return -(-len(widths) // n_columns)


def places(chart: Chart) -> list[Place]:
    """The rectangle of each panel, in order."""
    total, used, laid = inner_height_px(chart), 0, []
    rows = _rows(chart)
    width = (1 - _COLUMN_GAP * (chart.n_columns - 1)) / chart.n_columns
    for row in rows:
        for column, panel in enumerate(row):
            left = column * (width + _COLUMN_GAP)
            top = 1 - (used + _title_px(row)) / total
            place = Place(
                panel=panel,
                left=left,
                right=min(1.0, left + width),
                bottom=max(0.0, top - panel.height_px / total),
                top=top,
                is_lowest=row is rows[-1],
            )
            laid.append(place)
        used += _row_px(chart, row)
    return laid


def _rows(chart: Chart) -> list[tuple[Panel, ...]]:
    return [chart.panels[i : i + chart.n_columns] for i in range(0, len(chart.panels), chart.n_columns)]


def _row_px(chart: Chart, row: tuple[Panel, ...]) -> int:
    return _title_px(row) + max(panel.height_px for panel in row) + _below_px(chart, row)


def _title_px(row: tuple[Panel, ...]) -> int:
    return TITLE_PX if any(panel.title for panel in row) else 0


def _below_px(chart: Chart, row: tuple[Panel, ...]) -> int:
    """Linked axes have their ticks below the last row only."""
    if chart.shares_x:
        return 4
    return TICKS_PX + (AXIS_TITLE_PX if any(panel.x.title for panel in row) else 0)
