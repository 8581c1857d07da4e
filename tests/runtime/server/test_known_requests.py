"""The codec's path gives the answers and the refusals of Python's path, to the byte, and counts the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from offbeat.scorer import Scorer
from offbeat.server.messages.inference_messages import INFER, INFERENCE_STREAM
from offbeat.server.messages.scoring_messages import SCORE, SCORE_STREAM
from offbeat.server.messages.stream_format import StreamFormat
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.rpc.known_requests import KnownRequests
from offbeat.server.scoring.served import ServedModel
from tests.runtime.folders import OUTPUTS, random_windows

from .calls import infer_request, score_request
from .two_paths import OnePath, native_scorer

CALLS = {"Score": (SCORE, score_request), "ModelInfer": (INFER, infer_request)}
STREAMS = {"ScoreStream": (SCORE_STREAM, score_request), "ModelStreamInfer": (INFERENCE_STREAM, infer_request)}
METHODS: dict[str, tuple[UnaryFormat | StreamFormat, Any]] = {**CALLS, **STREAMS}
FUZZ = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    with native_scorer(tmp_path_factory.mktemp("models")) as scorer:
        yield scorer


class TwoPaths:
    """The same model behind both."""

    def __init__(self, protocol: UnaryFormat | StreamFormat, request: Any, scorer: Scorer) -> None:
        self.request = request
        self.is_stream = isinstance(protocol, StreamFormat)
        self.python = OnePath(protocol, scorer, has_codec=False)
        self.codec = OnePath(protocol, scorer, has_codec=True)
        # Drift's sample comes from Python's path; here no request is due for it after the first.
        self.codec.served[0].observations.recent.next_at = math.inf

    def bytes_of(self, *arguments: Any, **fields: Any) -> bytes:
        data: bytes = self.request(*arguments, **fields).SerializeToString()
        return data

    def learn(self, *arguments: Any) -> bytes:
        """Has the codec learn the form of a request, and returns it."""
        data = self.bytes_of(*arguments)
        # Else the next one might be that which has the others counted, in Python.
        self.codec.models.settle()
        self.codec.ask(data)
        before = self.codec.n_python
        self.codec.ask(data)
        assert self.codec.n_python == before, "the second request of a form still went through Python"
        return data

    def compare(self, data: bytes) -> bool:
        """Asserts that both say the same; whether the codec answered."""
        before = self.codec.n_python
        assert self.codec.told(data) == self.python.told(data)
        return self.codec.n_python == before


@pytest.fixture(scope="module", params=METHODS)
def paths(request: pytest.FixtureRequest, scorer: Scorer) -> Iterator[TwoPaths]:
    paths = TwoPaths(*METHODS[request.param], scorer)
    yield paths
    paths.python.close()
    paths.codec.close()


@pytest.mark.parametrize("outputs", [(), OUTPUTS, tuple(reversed(OUTPUTS)), ("is_anomaly",)])
@pytest.mark.parametrize("n_windows", [1, 3, 40])
def test_answers_are_the_same_bytes(paths: TwoPaths, outputs: tuple[str, ...], n_windows: int) -> None:
    paths.learn(random_windows(n_windows), outputs)
    for seed in range(5):
        assert paths.compare(paths.bytes_of(random_windows(n_windows, seed=seed), outputs, id=f"{seed}" * 70 * seed))


@pytest.mark.parametrize("spoilt", ["id", "nan", "infinity", "length", "output", "model", "late"])
def test_what_is_not_plainly_good_is_left_to_python(paths: TwoPaths, spoilt: str) -> None:
    windows = random_windows(2)
    paths.learn(windows)
    bad = windows.copy()
    bad[1, 3, 1] = np.nan if spoilt == "nan" else -np.inf
    data = {
        "id": lambda: paths.bytes_of(windows, id="größer"),
        "nan": lambda: paths.bytes_of(bad),
        "infinity": lambda: paths.bytes_of(bad),
        "length": lambda: paths.bytes_of(windows)[:-4],
        "output": lambda: paths.bytes_of(windows, ["forecast"]),
        "model": lambda: paths.bytes_of(random_windows(2, length=0)),
        "late": lambda: paths.bytes_of(windows),
    }[spoilt]()
    before = paths.codec.n_python
    remaining_s = 0.0 if spoilt == "late" else None
    assert paths.codec.told(data, remaining_s) == paths.python.told(data, remaining_s)
    # Python counts what it could parse; a request in time or not is read by the codec all the same.
    assert paths.codec.n_python == before + (spoilt not in ("length", "late"))


@FUZZ
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_known_request_with_some_bytes_changed(paths: TwoPaths, changes: list[tuple[int, int]]) -> None:
    data = bytearray(paths.learn(random_windows(2), ["is_anomaly", "anomaly_score"]))
    for position, value in changes:
        data[position % len(data)] = value
    paths.compare(bytes(data))


def varint(value: int, n_bytes: int = 1) -> bytes:
    """The number, of that many bytes at least: more than it takes are allowed, and nobody writes them."""
    groups = []
    while value or len(groups) < n_bytes:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups[:-1], groups[-1] & 0x7F])


TEXTS = st.sampled_from([b"level", b"window", b"FP32", b"is_anomaly", b"1", b"", b"\xff", "ü".encode()])
PACKED = st.lists(st.sampled_from([0, 1, 2, 6, 2**63, 2**64 - 1]), max_size=4).map(
    lambda each: b"".join(map(varint, each))
)
VALUES = TEXTS | PACKED | st.binary(max_size=9) | st.just(random_windows(1).tobytes())
NUMBERS = st.builds(varint, st.sampled_from([0, 1, 2, 300, 2**31, 2**32 + 1, 2**64 - 1]), st.integers(1, 10))


def delimited(field: int, value: bytes, n_bytes: int = 1) -> bytes:
    return varint(field << 3 | 2) + varint(len(value), n_bytes) + value


PIECES = (
    st.builds(delimited, st.integers(1, 9), VALUES, st.integers(1, 6))
    | st.builds(lambda field, number: varint(field << 3) + number, st.integers(1, 9), NUMBERS)
    | st.sampled_from([b"\x00", b"\x08", b"\x0d\0\0\0\0", b"\x09" + bytes(8), b"\x0b\x0c", b"\x80\x01\x00"])
)


def pieces_of(data: bytes) -> list[bytes]:
    """The fields of a message, all of which are short and delimited, or one-byte numbers."""
    pieces, at = [], 0
    while at < len(data):
        length = 2 if data[at] & 7 == 0 else 2 + data[at + 1]
        pieces.append(data[at : at + length])
        at += length
    return pieces


@FUZZ
@given(st.data())
def test_fields_in_any_order_twice_unknown_or_left_out(paths: TwoPaths, data: st.DataObject) -> None:
    good = paths.learn(random_windows(1), ["is_anomaly"])
    pieces = data.draw(st.permutations(pieces_of(good)))
    extra = data.draw(st.lists(PIECES | st.sampled_from(pieces), max_size=2))
    dropped = data.draw(st.booleans())
    paths.compare(b"".join([*pieces[dropped:], *extra]))


@FUZZ
@given(st.data())
def test_fields_of_the_tensor_in_any_order_twice_unknown_or_left_out(paths: TwoPaths, data: st.DataObject) -> None:
    outer = pieces_of(paths.learn(random_windows(1)))
    place = next(number for number, piece in enumerate(outer) if b"window" in piece)
    inner = data.draw(st.permutations(pieces_of(outer[place][2:])))
    extra = data.draw(st.lists(PIECES | st.sampled_from(inner), max_size=2))
    dropped = data.draw(st.booleans())
    outer[place] = delimited(outer[place][0] >> 3, b"".join([*inner[dropped:], *extra]))
    paths.compare(b"".join(outer))


@FUZZ
@given(st.binary(max_size=80))
@example(b"")
@example(b"\x00")
def test_any_bytes_at_all(paths: TwoPaths, data: bytes) -> None:
    paths.compare(data)


def test_timing_and_counts_are_those_of_python(paths: TwoPaths) -> None:
    data = paths.learn(random_windows(4, length=9))
    for path in (paths.python, paths.codec):
        (model,) = path.served
        path.models.settle()
        model.observations.settle()
        before = model.statistics.n_succeeded, model.statistics.n_windows, model.observations.scores.n_values
        for _ in range(300):
            _, timing = path.ask_with_timing(data)
            if paths.is_stream:
                continue
            assert timing is not None
            assert (timing.version, timing.queue_us, timing.size, timing.backend) == (1, 0, 4, model.backend)
            assert timing.batch_us == timing.compute_us < 10_000_000
        path.models.settle()
        model.observations.settle()
        after = model.statistics.n_succeeded, model.statistics.n_windows, model.observations.scores.n_values
        assert np.subtract(after, before).tolist() == [300, 1200, 1200]
        (traffic,) = path.boundary.traffic.methods.values()
        assert traffic.durations["level"].n_values == model.statistics.n_succeeded
        assert model.observations.queue.n_values == model.observations.compute.n_values == model.statistics.n_batches
        assert model.observations.compute.total == pytest.approx(model.statistics.compute_s)
        assert model.statistics.compute_s < traffic.durations["level"].total
        assert path.boundary.drain.n_calls == 0


@pytest.mark.parametrize("method", STREAMS)
def test_a_stream_of_known_new_and_bad_requests_is_answered_as_by_python(scorer: Scorer, method: str) -> None:
    paths = TwoPaths(*STREAMS[method], scorer)
    windows = [random_windows(1 + n % 5, length=5 + n % 7, seed=n) for n in range(200)]
    for each in windows[::9]:
        each[-1, 2] = np.nan
    requests = [
        paths.bytes_of(each, id=str(n)) if n % 31 else paths.bytes_of(each, ["nothing"], id=str(n))
        for n, each in enumerate(windows)
    ]
    answers = [path.stream(requests) for path in (paths.python, paths.codec)]
    if not STREAMS[method][0].keeps_order:
        answers = [sorted(each) for each in answers]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 200
    # 35 forms, and what is refused; each form is learnt when its first answer is written, and some requests are read before.
    assert paths.codec.n_python < paths.python.n_python == 200
    traffic = [next(iter(path.boundary.traffic.methods.values())) for path in (paths.python, paths.codec)]
    paths.codec.models.settle()
    assert traffic[0].durations["level"].n_values == traffic[1].durations["level"].n_values < 200
    assert traffic[0].refused == traffic[1].refused
    paths.python.close()
    paths.codec.close()


@pytest.mark.parametrize("method", STREAMS)
def test_what_is_queued_on_a_stream_is_learnt_and_read_by_the_codec(scorer: Scorer, method: str) -> None:
    paths = TwoPaths(*STREAMS[method], scorer)
    for path in (paths.python, paths.codec):
        path.dispatcher.max_inline_s = lambda *, is_alone: -1.0  # type: ignore[method-assign]
    data = [paths.bytes_of(random_windows(3, seed=n), id=str(n)) for n in range(9)]
    first, rest = data[:1], data[1:]
    answers = [sorted(path.stream(first) + path.stream(rest)) for path in (paths.python, paths.codec)]
    assert answers[0] == answers[1]
    assert (paths.python.n_python, paths.codec.n_python) == (9, 1)
    paths.python.close()
    paths.codec.close()


def test_a_sample_for_drift_is_taken_as_often_as_before(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    # However long a busy machine takes from one request to the next.
    monkeypatch.setattr("offbeat.server.telemetry.recent_windows._INTERVAL_S", 600.0)
    path = OnePath(SCORE, scorer, has_codec=True)
    recent = path.served[0].observations.recent
    data = score_request(random_windows(1)).SerializeToString()
    for _ in range(5):
        recent.next_at = 0.0
        path.ask(data)
        path.ask(data)
    assert len(recent.since(0.0)) == 5
    assert path.n_python == 1
    path.close()


def test_another_version_answers_from_the_moment_it_is_there(tmp_path: Path) -> None:
    with native_scorer(tmp_path) as old, native_scorer(tmp_path, 2) as new:
        path = OnePath(SCORE, old, has_codec=True)
        data = score_request(random_windows(3), ["anomaly_score"]).SerializeToString()
        answers = {path.ask(data) for _ in range(3)}
        assert path.n_python == 1
        path.serve(new)
        assert path.ask(data) not in answers
        path.models.remove("level", 2)
        assert {path.ask(data) for _ in range(3)} == answers
        path.models.remove("level", 1)
        assert "unknown model" in str(path.told(data))
        # Nothing that was counted went with them.
        assert [model.statistics.n_succeeded for model in path.served] == [6]
        path.close()


def test_forms_do_not_fill_the_memory_whatever_callers_ask_for(scorer: Scorer) -> None:
    path = OnePath(SCORE, scorer, has_codec=True)
    path.served[0].observations.recent.next_at = math.inf
    for n_steps in range(1, 150):
        for _ in range(2):
            path.ask(score_request(random_windows(1, n_steps)).SerializeToString())
    assert path.n_python == 149
    path.models.settle()
    assert path.served[0].statistics.n_succeeded == 298
    path.close()


def test_a_request_waits_its_turn_where_requests_wait_for_company(scorer: Scorer) -> None:
    path = OnePath(SCORE, scorer, has_codec=True, max_queue_delay_us=2000)
    data = score_request(random_windows(1)).SerializeToString()
    for _ in range(3):
        _, timing = path.ask_with_timing(data)
        assert timing is not None
        assert timing.queue_us >= 2000
    path.close()


@pytest.mark.parametrize("priority", [0, 1, 2, 3, 2**32 - 1])
def test_what_is_queued_is_read_by_the_codec_too_and_keeps_its_priority_and_id(scorer: Scorer, priority: int) -> None:
    levels: list[int] = []

    class Codec(OnePath):
        def serve(self, scorer: Scorer, **batching: Any) -> ServedModel:
            model = super().serve(scorer, **batching)
            submit = model.queue.submit
            model.queue.submit = lambda request: (levels.append(request.level), submit(request))[1]  # type: ignore[method-assign]
            return model

    queued = [
        Codec(SCORE, scorer, has_codec=each, priority_levels=2, default_priority_level=2) for each in (True, False)
    ]
    for path in queued:
        path.ask(score_request(random_windows(3)).SerializeToString())
        path.dispatcher.max_inline_s = lambda *, is_alone: -1.0  # type: ignore[method-assign]
    good = score_request(random_windows(3, seed=1), priority=priority, id="mine").SerializeToString()
    bad = score_request(np.full((3, 6, 2), np.nan, np.float32), priority=priority).SerializeToString()
    assert queued[0].told(good) == queued[1].told(good)
    assert queued[0].n_python == 1
    assert queued[0].told(bad) == queued[1].told(bad)
    assert levels[0] == levels[1] == queued[0].served[0].batching.level(priority)
    for path in queued:
        path.close()


def test_a_codec_that_fails_is_an_incident_like_any_other(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = OnePath(SCORE, scorer, has_codec=True)
    data = score_request(random_windows(1)).SerializeToString()
    path.ask(data)
    monkeypatch.setattr(KnownRequests, "answer", lambda *_, **__: 1 // 0)
    code, words = path.told(data)
    assert code is grpc.StatusCode.INTERNAL
    assert "incident" in str(words)
    path.close()


def test_an_answer_above_the_limit_is_refused_as_before(scorer: Scorer) -> None:
    path = OnePath(SCORE, scorer, has_codec=True, max_message_bytes=120)
    data = score_request(random_windows(1), ["anomaly_score"]).SerializeToString()
    assert [len(path.ask(data)) for _ in range(2)] == [len(path.ask(data))] * 2
    code, words = path.told(score_request(random_windows(1), ["anomaly_score"], id="x" * 100).SerializeToString())
    assert "max_message_bytes = 120" in str(words), code
    path.close()
