from __future__ import annotations

import contextlib
import functools
import hashlib
from collections import defaultdict
from pathlib import Path
from time import thread_time
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import offbeat.streams
from offbeat.errors import DataError, InvalidWindowError
from offbeat.series_config import SeriesConfig
from offbeat.streams import Rows, SeriesStore, Taken, read_state, write_state
from offbeat.streams.order import NEVER

NAMES = [f"series-{number}" for number in range(6)]
# A request: whose rows, each with a timestamp, and how much later it comes.
REQUESTS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 60)), min_size=1, max_size=40),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=25,
)


class Plain:
    """The same promises, one row at a time and without arrays: what SeriesStore is held against."""

    def __init__(self, length: int, config: SeriesConfig) -> None:
        self.length, self.config = length, config
        self.rows: dict[str, list[float]] = {}
        self.last: dict[str, int] = {}
        self.used: dict[str, tuple[float, int]] = {}
        self.flags: defaultdict[str, list[bool]] = defaultdict(list)

    def take(
        self, request: list[tuple[str, int]], values: list[float], now: float, stride: int
    ) -> tuple[list[tuple[int, list[float]]], list[int], int]:
        for name in [name for name, (used, _) in self.used.items() if now - used > self.config.series_ttl_s]:
            self.forget(name)
        asked = {name for name, _ in request}
        new = [name for name in asked if name not in self.rows]
        others = sorted((name for name in self.rows if name not in asked), key=lambda name: self.used[name])
        for name in others[: max(0, len(self.rows) + len(new) - self.config.max_series)]:
            self.forget(name)
        windows, dropped = [], []
        for number, ((name, time), value) in enumerate(zip(request, values, strict=True)):
            if name in self.last and time <= self.last[name]:
                dropped.append(number)
                continue
            self.last[name] = time
            rows = self.rows.setdefault(name, [])
            rows.append(value)
            if len(rows) >= self.length and (len(rows) - self.length) % stride == 0:
                windows.append((number, rows[-self.length :]))
        for name in asked:
            self.used[name] = (now, 0)
        return windows, dropped, len(new)

    def alarm(self, name: str, flag: bool) -> bool:
        self.flags[name].append(flag)
        return sum(self.flags[name][-self.config.alarm_n :]) >= self.config.alarm_k

    def forget(self, name: str) -> None:
        for table in (self.rows, self.last, self.used, self.flags):
            table.pop(name, None)  # type: ignore[attr-defined]


@settings(max_examples=150)
@given(requests=REQUESTS, length=st.integers(1, 7), stride=st.integers(1, 3), max_series=st.integers(6, 8))
def test_arrays_remember_what_plain_lists_would(
    requests: list[tuple[list[tuple[str, int]], int]], length: int, stride: int, max_series: int
) -> None:
    config = SeriesConfig(out_of_order="drop", alarm_k=2, alarm_n=3, max_series=max_series, series_ttl_s=10.5)
    store, plain = SeriesStore(length, ["value"], config), Plain(length, config)
    now, count = 0.0, 0
    for number, (asked, gap) in enumerate(requests):
        now += gap
        # Most rows are later than those of the request before, so that series grow long and move to the front.
        request = [(name, time + 40 * number) for name, time in asked]
        values = [float(count + number) for number in range(len(request))]
        count += len(request)
        names, times = zip(*request, strict=True)
        windows, dropped, n_started = plain.take(request, values, now, stride)
        rows = Rows(series=names, values=np.array(values, np.float32)[:, None], timestamps=np.array(times))
        taken = store.take(rows, now, stride)
        assert taken.rows.tolist() == [number for number, _ in windows]
        assert taken.windows[:, :, 0].tolist() == [window for _, window in windows]
        assert taken.dropped.tolist() == dropped
        assert taken.n_started == n_started
        flags = np.array([window[-1] % 3 == 0 for _, window in windows], np.bool_)
        expected = [plain.alarm(names[number], bool(flag)) for (number, _), flag in zip(windows, flags, strict=True)]
        assert store.alarms(taken, flags).tolist() == expected
    assert len(store) == len(plain.rows)


def _told(store: SeriesStore, taken: Taken) -> tuple[object, ...]:
    flags = taken.windows[:, -1, 0] % 3 == 0
    alarms = store.alarms(taken, flags).tolist()
    return taken.rows.tolist(), taken.windows.tolist(), taken.dropped.tolist(), taken.n_started, alarms


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(REQUESTS, min_size=1, max_size=6),
    length=st.integers(1, 7),
    stride=st.integers(1, 3),
    max_series=st.integers(6, 8),
    policy=st.sampled_from(["drop", "refuse"]),
    has_times=st.booleans(),
)
def test_requests_that_are_taken_together_are_taken_as_one_after_the_other(
    groups: list[list[tuple[list[tuple[str, int]], int]]],
    length: int,
    stride: int,
    max_series: int,
    policy: Literal["drop", "refuse"],
    has_times: bool,
) -> None:
    config = SeriesConfig(out_of_order=policy, alarm_k=2, alarm_n=3, max_series=max_series)
    one_by_one, together = (SeriesStore(length, ["value"], config) for _ in range(2))
    count = 0
    for number, group in enumerate(groups):
        requests = []
        for asked, _ in group:
            names, times = zip(*asked, strict=True)
            values = np.arange(count, count + len(names), dtype=np.float32)[:, None]
            count += len(names)
            # A name alone stands for all rows.
            series = names[:1] if len(set(names)) == 1 else names
            timestamps = np.array(times) + 40 * number if has_times else None
            requests.append(Rows(series=series, values=values, timestamps=timestamps))
        taken = together.take_together(requests, float(number), stride)
        if taken is None:
            # One of them is refused, or has others make room: then nothing has changed.
            for each in requests:
                outcomes = []
                for store in (one_by_one, together):
                    try:
                        outcomes.append(_told(store, store.take(each, float(number), stride)))
                    except InvalidWindowError as error:
                        outcomes.append((str(error),))
                assert outcomes[0] == outcomes[1]
        else:
            for place, each in enumerate(requests):
                expected = _told(one_by_one, one_by_one.take(each, float(number), stride))
                assert _told(together, taken.of(place)) == expected
    states = [store.state("m", store.occupied(), 0.0) for store in (one_by_one, together)]
    assert states[0].names == states[1].names
    assert all(
        np.array_equal(getattr(states[0], name), getattr(states[1], name))
        for name in ("tails", "n_seen", "timestamps", "ages_s", "flags")
    )
    assert one_by_one.n_rows == together.n_rows


@pytest.mark.parametrize(
    "bad",
    [
        Rows(series=["a", "b"], values=np.zeros((1, 2), np.float32)),
        Rows(series=[], values=np.zeros((1, 2), np.float32)),
        Rows(series=["a"], values=np.zeros((0, 2), np.float32)),
        Rows(series=[""], values=np.zeros((1, 2), np.float32)),
        Rows(series=["a"], values=np.full((1, 2), np.nan, np.float32)),
        Rows(series=["a"], values=np.zeros((1, 2), np.float32), timestamps=np.zeros(2, np.int64)),
    ],
)
def test_requests_of_which_one_is_wrong_are_not_taken_together(bad: Rows) -> None:
    store = SeriesStore(1, ["a", "b"], SeriesConfig())
    good = Rows(series=["a", "b"], values=np.zeros((2, 2), np.float32))
    assert store.take_together([good, bad, good], 0.0) is None
    assert len(store) == store.n_changes == sum(store.n_rows.values()) == 0


def test_a_message_of_very_many_rows_of_one_series_takes_no_more_than_its_share_of_time() -> None:
    n_rows, length = 200_000, 30
    values = np.arange(2 * n_rows, dtype=np.float32).reshape(n_rows, 2)
    store = SeriesStore(length, ["a", "b"], SeriesConfig(max_series=4))
    begin = thread_time()
    taken = store.take(Rows(series=["x"], values=values), 0.0)
    # Some 30 ms; it was half a minute, of all who share the event loop, when every pass looked at all rows.
    assert thread_time() - begin < 3
    assert taken.rows.tolist() == list(range(length - 1, n_rows))
    assert np.array_equal(taken.windows[-1], values[-length:])
    assert np.array_equal(store.take(Rows(series=["x"], values=values[:1]), 1.0).windows[0, :-1], values[1 - length :])


def rows(names: list[str], now: int = 0, value: float = 1.0) -> Rows:
    return Rows(series=names, values=np.full((len(names), 2), value, np.float32), timestamps=np.full(len(names), now))


def test_the_least_recently_used_go_and_never_one_that_is_named_now() -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig(max_series=4))
    for now, name in enumerate(["w", "x", "y", "z", "w"]):
        store.take(rows([name], now), now)
    # All at the same moment as the last, and x is oldest.
    taken = store.take(rows(["y", "new"], 4), 4)
    assert taken.n_started == 1
    assert store.take(rows(["w", "y", "z", "new"], 5), 5).n_started == 0
    assert store.take(rows(["x"], 5), 5).n_started == 1
    assert store.n_forgotten == {"ttl": 0, "lru": 2, "reset": 0}


@settings(max_examples=100)
@given(used=st.lists(st.sampled_from("abcdefghi"), max_size=80), capacity=st.integers(1, 6))
def test_who_has_to_go_is_always_the_one_whose_last_row_is_oldest(used: list[str], capacity: int) -> None:
    store, kept = SeriesStore(1, ["a", "b"], SeriesConfig(max_series=capacity)), list[str]()
    for now, name in enumerate(used):
        assert store.take(rows([name], now), now).n_started == (name not in kept)
        kept = [*(each for each in kept if each != name), name][-capacity:]


def test_many_that_come_and_go_keep_to_the_bound() -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig(max_series=100))
    for now in range(300):
        store.take(rows([f"{now}-{number}" for number in range(37)], now), now)
        assert len(store) <= 100
    assert store.n_forgotten["lru"] == 300 * 37 - 100


def test_memory_bounds_the_number_of_series_too() -> None:
    each = SeriesStore(3, ["a", "b"], SeriesConfig()).n_bytes_each
    store = SeriesStore(3, ["a", "b"], SeriesConfig(max_series_bytes=5 * each + 1024))
    with pytest.raises(InvalidWindowError, match=f"with {each} bytes a series"):
        store.take(rows([str(number) for number in range(5 + 1024 // each + 1)]), 0)


def test_a_series_too_large_for_the_memory_is_refused_and_nothing_ends() -> None:
    store = SeriesStore(500, ["a", "b"], SeriesConfig(max_series_bytes=1024))
    with pytest.raises(InvalidWindowError, match="at most 0"):
        store.take(rows(["a"]), 0)


def test_an_alarm_of_a_series_that_was_forgotten_meanwhile_is_not_anothers() -> None:
    store = SeriesStore(1, ["a", "b"], SeriesConfig(alarm_k=2, alarm_n=2, max_series=1))
    first = store.take(rows(["old"]), 0)
    store.take(rows(["new"]), 1)
    assert store.alarms(first, np.array([True])).tolist() == [False]
    second = store.take(rows(["new"], 2), 2)
    assert store.alarms(second, np.array([True])).tolist() == [False]
    third = store.take(rows(["new"], 3), 3)
    assert store.alarms(third, np.array([True])).tolist() == [True]


def test_an_alarm_of_a_series_that_was_reset_meanwhile_counts_no_window_before() -> None:
    store = SeriesStore(1, ["a", "b"], SeriesConfig(alarm_k=2, alarm_n=2))
    store.alarms(store.take(rows(["x"], 0), 0), np.array([True]))
    taken = store.take(rows(["x"], 1), 1)
    assert store.reset(["x"]) == 1
    assert store.alarms(taken, np.array([True])).tolist() == [False]


@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_windows_are_whole_wherever_a_series_moves_to_the_front(length: int) -> None:
    """Requests of one, two and three rows reach the end of a slot's room in every way there is."""
    store, told, values = SeriesStore(length, ["a"], SeriesConfig()), dict[str, list[float]](), iter(range(10_000))
    for n_each in [1, 2, 3, 1, 3, 2, 2] * 20:
        names = [name for name in "xyz" for _ in range(n_each)]
        given = np.fromiter(values, np.float32, len(names))
        for name, value in zip(names, given.tolist(), strict=True):
            told.setdefault(name, []).append(value)
        taken = store.take(Rows(series=names, values=given[:, None]), 0.0)
        for window, row in zip(taken.windows[:, :, 0].tolist(), taken.rows.tolist(), strict=True):
            series = told[names[row]]
            end = len(series) - n_each + row % n_each + 1
            assert window == series[end - length : end]
    assert store.n_rows["taken"] == sum(map(len, told.values()))


def test_a_first_row_is_never_late_whatever_its_timestamp() -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig())
    assert store.take(rows(["x"], int(NEVER)), 0.0).n_started == 1
    with pytest.raises(InvalidWindowError, match="not later than one before it"):
        store.take(rows(["y", "y"], int(NEVER)), 0.0)


def test_refused_rows_are_counted() -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig())
    with pytest.raises(InvalidWindowError, match="nothing was changed"):
        store.take(rows(["x", "y"], value=np.nan), 0.0)
    assert (store.n_rows["refused"], store.n_changes, len(store)) == (2, 0, 0)


def test_infinities_of_both_signs_are_refused_without_a_warning_and_large_numbers_are_taken() -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig(max_series=4))
    values = np.array([[np.inf, -np.inf]], np.float32)
    with pytest.raises(InvalidWindowError, match="row 0, of series 'x', is inf in feature 0"):
        store.take(Rows(series=["x"], values=values), 0.0)
    assert store.take(rows(["x", "y"], value=3e38), 0.0).n_started == 2


def test_a_state_holds_nothing_of_who_had_the_slot_before() -> None:
    store = SeriesStore(4, ["a", "b"], SeriesConfig(max_series=1))
    for now in range(20):
        store.take(rows(["old"], now, value=7.0), now)
    store.take(rows(["new"], 20, value=1.0), 20)
    state = store.state("m", store.occupied(), 20.0)
    assert state.names == ["new"]
    assert state.tails[0].tolist() == [[0, 0], [0, 0], [1, 1]]


@settings(max_examples=60)
@given(n_rows=st.lists(st.integers(1, 30), min_size=1, max_size=8), length=st.integers(1, 9), alarm_n=st.integers(1, 4))
def test_a_state_written_and_read_goes_on_as_if_nothing_had_been(
    tmp_path_factory: pytest.TempPathFactory, n_rows: list[int], length: int, alarm_n: int
) -> None:
    config = SeriesConfig(alarm_k=alarm_n, alarm_n=alarm_n)
    store = SeriesStore(length, ["a", "b"], config)
    rng = np.random.default_rng(0)
    for number, n in enumerate(n_rows):
        values = rng.standard_normal((n, 2), dtype=np.float32)
        times = np.arange(n) if number % 2 else None
        taken = store.take(Rows(series=[f"é{number}"], values=values, timestamps=times), float(number))
        store.alarms(taken, rng.random(len(taken.rows)) < 0.8)
    path = tmp_path_factory.mktemp("state") / "x.series"
    write_state(path, store.state("m", store.occupied(), 50.0))
    assert path.stat().st_mode & 0o777 == 0o600
    other = SeriesStore(length, ["a", "b"], config)
    assert other.restore(read_state(path, 2**20), 1050.0) == len(n_rows) == len(other)
    names = [f"é{number}" for number in range(len(n_rows))]
    for _ in range(2 * length):
        values = rng.standard_normal((len(names), 2), dtype=np.float32)
        seen = [each.take(Rows(series=names, values=values), now) for each, now in ((store, 60.0), (other, 1060.0))]
        np.testing.assert_array_equal(seen[0].windows, seen[1].windows)
        np.testing.assert_array_equal(seen[0].rows, seen[1].rows)
        flags = np.ones(len(seen[0].rows), np.bool_)
        alarms = [each.alarms(taken, flags).tolist() for each, taken in zip((store, other), seen, strict=True)]
        assert alarms[0] == alarms[1]
    state = other.state("m", other.occupied(), 1060.0)
    had_none = {name for name, time in zip(state.names, state.timestamps, strict=True) if time == NEVER}
    assert had_none == set(names[::2])


@functools.cache
def _written(path: Path) -> bytes:
    store = SeriesStore(3, ["a", "b"], SeriesConfig())
    store.take(rows(["x", "y"]), 0.0)
    write_state(path, store.state("m", store.occupied(), 1.0))
    return path.read_bytes()


@settings(max_examples=300)
@given(data=st.data())
def test_no_bytes_are_taken_for_a_state_that_were_not_written_as_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.series"
    content = bytearray(_written(path.with_suffix(".sound")))
    # The digest is right again: only the content is wrong.
    begin = data.draw(st.integers(0, len(content) - 33))
    end = data.draw(st.integers(begin, len(content) - 32))
    content[begin:end] = data.draw(st.binary(max_size=20))
    body = bytes(content[:-32])
    path.write_bytes(body + hashlib.sha256(body).digest())
    with contextlib.suppress(DataError):
        state = read_state(path, 2**20)
        assert SeriesStore(state.length, state.feature_names, SeriesConfig(max_series=10)).restore(state, 2.0) <= 2


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["x", "x"]},
        {"names": ["x", ""]},
        {"ages_s": np.array([0.0, np.nan])},
        {"ages_s": np.array([0.0, -1.0])},
        {"n_seen": np.array([1, -1])},
        {"tails": np.full((2, 2, 2), np.inf, np.float32)},
        {"flags": np.zeros((2, 1000), np.uint8)},
    ],
)
def test_a_state_that_no_store_can_have_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig())
    store.take(rows(["x", "y"]), 0.0)
    write_state(tmp_path / "x", replace(store.state("m", store.occupied(), 1.0), **change))
    with pytest.raises(DataError, match="expected what was written"):
        read_state(tmp_path / "x", 2**20)


def test_of_a_state_only_the_young_are_taken_over_and_the_youngest_first() -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig())
    for now, name in enumerate("abcd"):
        store.take(rows([name], now), 10.0 * now)
    state = store.state("m", store.occupied(), 30.0)
    young = SeriesStore(3, ["a", "b"], SeriesConfig(series_ttl_s=20.0))
    assert young.restore(state, 0.0) == 2
    assert young.state("m", young.occupied(), 0.0).names == ["d", "c"]
    small = SeriesStore(3, ["a", "b"], SeriesConfig(max_series=3))
    assert small.restore(state, 0.0) == 3
    assert small.take(rows(["b", "c", "d"], 9), 0.0).n_started == 0


def test_the_room_exports_the_store_and_its_states() -> None:
    assert offbeat.streams.__all__ == [
        "Rows",
        "SeriesState",
        "SeriesStore",
        "Taken",
        "TakenTogether",
        "read_state",
        "write_state",
    ]
