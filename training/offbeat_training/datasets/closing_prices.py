"""Daily closing prices of many symbols, scaled without a look at what is to be judged."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import Dataset, fill_missing
from offbeat.data.reader import file_sha256
from offbeat.errors import DataError
from offbeat.result import FloatArray
from offbeat_training.datasets.price_scale import PriceScale
from offbeat_training.datasets.train_test import TrainTest


class ClosingPrices(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """`close` float32 [symbol, date], positive and without gaps, of distinct `symbols`; `dates` ascend, ISO 8601.

    `n_filled` prices were missing and repeat the last one before them.
    """

    name: str
    symbols: tuple[str, ...]
    dates: NDArray[np.str_]
    close: FloatArray
    sha256: str | None = None
    n_filled: int = 0

    def split_by_date(self, first_test_date: str, symbols: Sequence[str] | None = None) -> TrainTest:
        """Rows [date, symbol]: the dates before the given one to learn from, it and those after it to judge on.

        Each symbol is scaled by mean and deviation of its own prices before the date, and by nothing after it. Raises
        DataError for an unknown symbol and where one part would be empty.
        """
        chosen = self._positions(self.symbols if symbols is None else symbols)
        is_train = self.dates < first_test_date
        if is_train.all() or not is_train.any():
            raise DataError(
                f"{self.name}: {first_test_date!r} splits {self.dates[0]} to {self.dates[-1]} into one part; expected two"
            )
        prices = self.close[chosen].T
        scaled = PriceScale.fit(prices[is_train], axis=0).apply(prices)
        names = tuple(self.symbols[position] for position in chosen)
        return TrainTest(
            train=self._dataset("train", scaled[is_train], names, self.dates[is_train]),
            test=self._dataset("test", scaled[~is_train], names, self.dates[~is_train]),
        )

    def split_by_symbol(self, test_symbols: Sequence[str], length: int | None = None) -> TrainTest:
        """Windows [window, date, 1]: the symbols not named to learn from, the named ones to judge on.

        Each price is taken relative to its symbol's first, then scaled by mean and deviation over the training symbols, so
        no price of a test symbol changes the scale. `length` cuts each symbol into windows end to end, a rest at the end
        left out; the whole series is one window otherwise. Raises DataError for an unknown symbol and an empty part.
        """
        test = self._positions(test_symbols)
        train = np.setdiff1d(np.arange(len(self.symbols)), test)
        if not train.size or not test.size:
            raise DataError(f"{self.name}: {train.size} symbols to learn from, {test.size} to judge on; expected both")
        relative = self.close / self.close[:, :1].astype(np.float64)
        scaled = PriceScale.fit(relative[train], axis=None).apply(relative)
        return TrainTest(
            train=self._dataset("train", self._windows(scaled[train], length), ("close",), None),
            test=self._dataset("test", self._windows(scaled[test], length), ("close",), None),
        )

    def _positions(self, symbols: Sequence[str]) -> NDArray[np.int64]:
        if unknown := sorted(set(symbols) - set(self.symbols)):
            raise DataError(f"{self.name}: no symbol {', '.join(unknown)} among its {len(self.symbols)}")
        return np.array([self.symbols.index(symbol) for symbol in dict.fromkeys(symbols)], dtype=np.int64)

    def _windows(self, series: FloatArray, length: int | None) -> FloatArray:
        length = series.shape[1] if length is None else length
        if not 1 <= length <= series.shape[1]:
            raise DataError(f"{self.name}: windows of {length} dates; expected 1 to {series.shape[1]}")
        n_each = series.shape[1] // length
        return np.ascontiguousarray(series[:, : n_each * length].reshape(-1, length, 1))

    def _dataset(
        self, part: str, values: FloatArray, names: tuple[str, ...], dates: NDArray[np.str_] | None
    ) -> Dataset:
        name = f"{self.name}:{part}"
        return Dataset(name=name, values=values, feature_names=names, timestamps=dates, sha256=self.sha256)


def read_closing_prices(path: str | os.PathLike[str]) -> ClosingPrices:
    """An npz file with `symbols` [symbol], `dates` [date] and `close` [symbol, date]; NaN is a day without a price.

    Gaps are filled forward, symbol by symbol. Raises DataError, naming the file, the symbol and the date, for a symbol
    without a price on the first date, for prices that are not positive, and for dates that do not ascend.
    """
    file = Path(path)
    symbols, dates, prices = _arrays(file)
    filled, n_filled = fill_missing(prices.T, "forward-fill")
    close = np.ascontiguousarray(filled.T)
    _check(file, symbols, dates, close)
    return ClosingPrices(
        name=file.name,
        symbols=tuple(symbols.tolist()),
        dates=dates,
        close=close,
        sha256=file_sha256(file),
        n_filled=n_filled,
    )


def _arrays(file: Path) -> tuple[NDArray[np.str_], NDArray[np.str_], FloatArray]:
    try:
        # An open file, because numpy leaves one that it opened open where it is no archive.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            symbols, dates, close = (archive[key] for key in ("symbols", "dates", "close"))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: {error}; expected an npz archive of symbols, dates and close") from error
    if (
        close.dtype.kind not in "fiu"
        or symbols.ndim != 1
        or close.shape != (symbols.size, dates.size)
        or not close.size
    ):
        raise DataError(
            f"{file}: close is {close.dtype} {close.shape}; expected numbers [symbol, date], here ({symbols.size}, {dates.size})"
        )
    return symbols.astype(np.str_), dates.ravel().astype(np.str_), close.astype(np.float32)


def _check(file: Path, symbols: NDArray[np.str_], dates: NDArray[np.str_], close: FloatArray) -> None:
    if len(np.unique(symbols)) != len(symbols):
        raise DataError(f"{file}: a symbol stands twice; expected distinct ones")
    if (unsorted := np.flatnonzero(dates[1:] <= dates[:-1])).size:
        day = int(unsorted[0]) + 1
        raise DataError(f"{file}: date {day + 1} is {dates[day]}, after {dates[day - 1]}; expected ascending dates")
    if (bad := np.argwhere(~(np.isfinite(close) & (close > 0)))).size:
        symbol, day = (int(index) for index in bad[0])
        raise DataError(
            f"{file}: {symbols[symbol]} closes at {close[symbol, day]:g} on {dates[day]}; "
            "expected a positive price, and one on the first date, from which gaps are filled forward"
        )
