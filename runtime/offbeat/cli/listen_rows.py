"""Lines of a feed as rows of numbers."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping

import msgspec

from offbeat.data.csv_head import DELIMITERS, NULLS, checked_delimiter, is_number
from offbeat.data.json_lines import decode_line, number_of
from offbeat.errors import DataError
from offbeat.streams.slots import check_name
from offbeat.telling import listed

# Characters of a line that a message repeats.
_MAX_SHOWN = 80
_LARGEST = 3.4028234663852886e38


class RowFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a model's features, of the columns that name a row's series and time, and the delimiter, where it is given.

    Where `has_gaps` a value may be missing, which is no row otherwise.
    """

    feature_names: tuple[str, ...]
    series_column: str | None = None
    timestamp_column: str | None = None
    delimiter: str | None = None
    has_gaps: bool = False

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            checked_delimiter(self.delimiter)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row's values in the model's order, NaN where one is missing; `series` and `timestamp` as the line has them."""

    values: list[float]
    series: str | None
    timestamp: str | None


class RowReader:
    """Reads one feed's lines: JSON objects, or csv. Its first csv line may name the columns; one without names holds the features in
    the model's order and nothing else. A line of names may come again, as it does where files follow each other.
    """

    def __init__(self, format_: RowFormat) -> None:
        self._format = format_
        further = (format_.series_column, format_.timestamp_column)
        self._needed = (*format_.feature_names, *(name for name in further if name is not None))
        self._names: list[str] | None = None
        self._delimiter = "," if format_.delimiter is None else checked_delimiter(format_.delimiter)
        self._is_lost = False

    def read(self, line: bytes) -> Row | None:
        """The row of a line, None of a blank one and of names. Raises DataError."""
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            return None
        if text.startswith(b"{"):
            return self._row(decode_line("not a row", text))
        try:
            return self._csv_row(text.decode())
        except UnicodeDecodeError as error:
            raise DataError(f"not UTF-8 at byte {error.start}; expected csv or JSON Lines in UTF-8") from error

    def _csv_row(self, text: str) -> Row | None:
        if self._is_heading(text):
            return None
        if self._is_lost:
            raise DataError(f"no line of column names before it; expected one with {', '.join(self._needed)}")
        cells = _split(text, self._delimiter)
        names = self._names
        if names is None:
            if self._format.series_column is not None:
                raise DataError(
                    f"no column names before it; expected a line of them, with {self._format.series_column!r}"
                )
            names = list(self._format.feature_names)
        if len(cells) != len(names):
            raise DataError(f"{len(cells)} cells; expected {len(names)}: {listed(names)}")
        return self._row(dict(zip(names, cells, strict=True)), is_text=True)

    def _is_heading(self, text: str) -> bool:
        """Whether the line names all columns that are needed. Raises DataError where it names one twice, and for a first line of
        other words.
        """
        delimiters = DELIMITERS if self._format.delimiter is None else self._delimiter
        for delimiter in delimiters:
            names = _split(text, delimiter)
            # Of features that are called 0, 1, … by their places a row of such values is no heading.
            if set(self._needed) <= set(names) and not all(map(is_number, names)):
                self._check_once(names)
                self._names, self._delimiter, self._is_lost = names, delimiter, False
                return True
        if self._names is None and not self._is_lost:
            self._begin_without_names(text, delimiters)
        return False

    def _check_once(self, names: list[str]) -> None:
        twice = [name for name in self._needed if names.count(name) > 1]
        if twice:
            # What the rows below hold is not known; they are told as such.
            self._names, self._is_lost = None, True
            raise DataError(f"columns {listed(names)}; expected {twice[0]!r} once")

    def _begin_without_names(self, text: str, delimiters: str) -> None:
        n_features = len(self._format.feature_names)
        for delimiter in delimiters:
            cells = _split(text, delimiter)
            if len(cells) == n_features and all(map(is_number, cells)):
                self._delimiter = delimiter
                return
        # Names of other columns: numbers below them may be in any order.
        self._is_lost = not any(is_number(cell) for delimiter in delimiters for cell in _split(text, delimiter))
        if self._is_lost:
            missing = next((name for name in self._needed if name not in text), self._needed[0])
            raise DataError(f"{text[:_MAX_SHOWN]!r} names no column {missing!r}; expected {', '.join(self._needed)}")

    def _row(self, cells: Mapping[str, object], *, is_text: bool = False) -> Row:
        return Row(
            values=[self._number(cells, name, is_text=is_text) for name in self._format.feature_names],
            series=self._series(cells),
            timestamp=self._word(cells, self._format.timestamp_column),
        )

    def _number(self, cells: Mapping[str, object], name: str, *, is_text: bool) -> float:
        try:
            number = _number(cells.get(name), is_text=is_text)
        except (ValueError, OverflowError) as error:
            raise DataError(f"column {name!r}: {error}; expected a number") from error
        if math.isnan(number):
            if self._format.has_gaps:
                return number
            raise DataError(f"column {name!r} is missing; expected a number, or --missing forward-fill")
        if abs(number) > _LARGEST:
            raise DataError(f"column {name!r} is infinite, or beyond float32; expected a finite number")
        return number

    def _series(self, cells: Mapping[str, object]) -> str | None:
        name = self._word(cells, self._format.series_column)
        if self._format.series_column is not None:
            check_name(name or "")
        return name

    def _word(self, cells: Mapping[str, object], column: str | None) -> str | None:
        cell = None if column is None else cells.get(column)
        return None if cell is None else str(cell)


def _split(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]


def _number(cell: object, *, is_text: bool) -> float:
    """NaN where it is missing. Raises ValueError."""
    if not is_text:
        return number_of(cell)
    try:
        return float(str(cell))
    except ValueError:
        if str(cell).lower() in NULLS:
            return math.nan
        raise
