from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from offbeat.errors import DataError
from offbeat_training.datasets.closing_prices import ClosingPrices, read_closing_prices
from offbeat_training.datasets.price_scale import PriceScale

DATES = np.array([f"2024-01-{day:02}" for day in range(1, 11)])


def prices() -> ClosingPrices:
    steps = np.random.default_rng(0).normal(0, 0.02, (4, 10))
    close = (np.array([[10.0], [200.0], [3000.0], [7.0]]) * np.exp(np.cumsum(steps, axis=1))).astype(np.float32)
    return ClosingPrices(name="prices", symbols=("A", "B", "C", "D"), dates=DATES, close=close)


def save(path: Path, **changes: Any) -> Path:
    arrays = {"symbols": np.array(["A", "B"]), "dates": DATES[:3], "close": np.array([[1.0, 2, 3], [4, 5, 6]])}
    np.savez(path, **(arrays | changes))
    return path


def changed(original: ClosingPrices, part: tuple[object, ...]) -> ClosingPrices:
    close = original.close.copy()
    close[part] *= 10
    return msgspec.structs.replace(original, close=close)


def test_each_symbol_is_scaled_by_its_own_training_period() -> None:
    parts = prices().split_by_date("2024-01-07")
    assert (parts.train.values.shape, parts.test.values.shape) == ((6, 4), (4, 4))
    np.testing.assert_allclose(parts.train.values.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(parts.train.values.std(axis=0), 1, atol=1e-5)
    own = prices().close[2].astype(np.float64)
    np.testing.assert_allclose(parts.test.values[:, 2], (own[6:] - own[:6].mean()) / own[:6].std(), rtol=1e-5)
    assert parts.test.feature_names == ("A", "B", "C", "D")
    assert np.asarray(parts.test.timestamps).tolist() == DATES[6:].tolist()


def test_no_price_after_the_split_changes_the_training_part() -> None:
    before = prices().split_by_date("2024-01-07")
    after = changed(prices(), (slice(None), slice(6, None))).split_by_date("2024-01-07")
    np.testing.assert_array_equal(before.train.values, after.train.values)
    # Nor does one symbol change another.
    other = changed(prices(), (1,)).split_by_date("2024-01-07")
    np.testing.assert_array_equal(before.test.values[:, [0, 2, 3]], other.test.values[:, [0, 2, 3]])


def test_no_price_of_a_test_symbol_changes_the_scale() -> None:
    before = prices().split_by_symbol(("B",))
    after = changed(prices(), (1, slice(5, None))).split_by_symbol(("B",))
    assert before.train.values.shape == (3, 10, 1)
    np.testing.assert_array_equal(before.train.values, after.train.values)
    np.testing.assert_array_equal(before.test.values[:, :5], after.test.values[:, :5])
    assert (before.test.values[:, 5:] != after.test.values[:, 5:]).all()


def test_dear_and_cheap_symbols_become_alike() -> None:
    parts = prices().split_by_symbol(("D",))
    assert parts.train.values[:, 0, 0] == pytest.approx(np.repeat(parts.test.values[0, 0, 0], 3))
    np.testing.assert_allclose(parts.train.values.mean(), 0, atol=1e-5)
    np.testing.assert_allclose(parts.train.values.std(), 1, atol=1e-5)


def test_a_symbol_is_cut_into_windows_end_to_end() -> None:
    whole, cut = prices().split_by_symbol(("A",)), prices().split_by_symbol(("A",), 4)
    assert cut.test.values.shape == (2, 4, 1)
    np.testing.assert_array_equal(cut.test.values.reshape(-1), whole.test.values[0, :8, 0])


def test_chosen_symbols_come_in_the_order_asked_for() -> None:
    parts = prices().split_by_date("2024-01-07", ["C", "A"])
    assert parts.train.feature_names == ("C", "A")
    np.testing.assert_array_equal(parts.train.values, prices().split_by_date("2024-01-07").train.values[:, [2, 0]])


def test_a_price_that_never_changes_is_centred_and_never_blown_up() -> None:
    original = prices()
    close = original.close.copy()
    close[0] = 33.3
    parts = msgspec.structs.replace(original, close=close).split_by_date("2024-01-07")
    np.testing.assert_allclose(parts.test.values[:, 0], 0, atol=1e-5)
    # What is only float32's rounding of one price is no movement either.
    still = np.array([33.3, 33.3, np.nextafter(np.float32(33.3), np.float32(99))], np.float32)
    assert PriceScale.fit(still, None).deviation == 1
    assert PriceScale.fit(still + np.float32([0, 0, 1]), None).deviation == pytest.approx(np.std([0, 0, 1]), rel=1e-4)


def test_gaps_are_filled_forward_symbol_by_symbol(tmp_path: Path) -> None:
    close = np.array([[1.0, np.nan, 3], [4, np.nan, np.nan]])
    loaded = read_closing_prices(save(tmp_path / "p.npz", close=close))
    assert loaded.close.tolist() == [[1, 1, 3], [4, 4, 4]]
    assert loaded.n_filled == 3
    assert loaded.symbols == ("A", "B")
    assert loaded.sha256 is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"close": np.array([[1.0, 2, 3], [np.nan, 5, 6]])},
            "B closes at nan on 2024-01-01; expected a positive price",
        ),
        ({"close": np.array([[1.0, 2, 3], [4, 0, 6]])}, "B closes at 0 on 2024-01-02"),
        ({"close": np.array([[1.0, 2, 3], [4, np.inf, 6]])}, "B closes at inf"),
        ({"close": np.ones((3, 2))}, r"close is float64 \(3, 2\); expected numbers \[symbol, date\], here \(2, 3\)"),
        ({"close": np.array([["a"] * 3] * 2)}, "close is <U1"),
        ({"dates": DATES[[0, 2, 1]]}, "date 3 is 2024-01-02, after 2024-01-03; expected ascending"),
        ({"dates": DATES[[0, 1, 1]]}, "date 3 is 2024-01-02, after 2024-01-02"),
        ({"symbols": np.array(["A", "A"])}, "a symbol stands twice"),
        ({"symbols": np.array([{}, {}], dtype=object)}, "expected an npz archive of symbols, dates and close"),
    ],
)
def test_prices_that_cannot_be_used_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = save(tmp_path / "p.npz", **changes)
    with pytest.raises(DataError, match=message) as caught:
        read_closing_prices(file)
    assert "p.npz" in str(caught.value)


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones(3))
    (tmp_path / "y.npz").write_bytes(b"PK\x03\x04 nothing")
    for name in ("x.npz", "y.npz", "z.npz"):
        with pytest.raises(DataError, match=name):
            read_closing_prices(tmp_path / name)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda p: p.split_by_date("2023-01-01"), "splits 2024-01-01 to 2024-01-10 into one part"),
        (lambda p: p.split_by_date("2025-01-01"), "into one part"),
        (lambda p: p.split_by_date("2024-01-05", ["A", "Z"]), "no symbol Z among its 4"),
        (lambda p: p.split_by_symbol(["Z"]), "no symbol Z"),
        (lambda p: p.split_by_symbol([]), "4 symbols to learn from, 0 to judge on"),
        (lambda p: p.split_by_symbol(["A", "B", "C", "D"]), "0 symbols to learn from"),
        (lambda p: p.split_by_symbol(["A"], 11), "windows of 11 dates; expected 1 to 10"),
    ],
)
def test_splits_that_leave_nothing_are_refused(split, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=message):
        split(prices())
