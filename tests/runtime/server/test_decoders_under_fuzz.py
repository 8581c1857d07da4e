"""Whatever bytes come, the decoders answer with a query or with an OffbeatError."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offbeat.errors import InvalidWindowError, OffbeatError
from offbeat.inference.open_inference_pb2 import ModelInferRequest
from offbeat.series_config import SeriesConfig
from offbeat.server.messages import inference_messages, scoring_messages
from offbeat.server.messages.parsing import parse
from offbeat.server.messages.point_messages import rows_of
from offbeat.server.scoring.form import RequestForms
from offbeat.server.scoring.query import Query
from offbeat.streams import SeriesStore
from offbeat.v1.scoring_pb2 import PointsRequest, ScoreRequest
from tests.runtime.folders import random_windows

from .calls import infer_request, score_request
from .fakes import make_scorer

SCORER = make_scorer()
INT64 = st.integers(-(2**63), 2**63 - 1)
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 6, -1, 2**31, 2**62]) | INT64, max_size=5)
NAMES = st.sampled_from(["window", "level", "anomaly_score", "", "1", "FP32"]) | st.text(max_size=5)
DATA = st.binary(max_size=64) | st.integers(0, 3).map(lambda n: random_windows(n + 1).tobytes())
SETTINGS = settings(max_examples=300)

MUTATIONS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8)


def mutated(message: ScoreRequest | ModelInferRequest, changes: list[tuple[int, int]]) -> bytes:
    data = bytearray(message.SerializeToString())
    for position, value in changes:
        data[position % len(data)] = value
    return bytes(data)


def check(decode: Any, kind: Any, data: bytes) -> None:
    try:
        query = decode(parse(kind, data))
        assert isinstance(query, Query)
        windows = RequestForms(SCORER).find(query.shape, query.outputs).windows(query.data)
    except OffbeatError:
        return
    assert windows.dtype == np.float32
    assert np.isfinite(windows).all()
    assert windows.size * 4 <= len(data)


def check_rows(data: bytes) -> None:
    store = SeriesStore(3, ["a", "b"], SeriesConfig(max_series=3))
    try:
        request = parse(PointsRequest, data)
        taken = store.take(rows_of(request, 2), 0.0, request.stride or 1)
    except OffbeatError:
        assert len(store) == 0
        return
    assert np.isfinite(taken.windows).all()
    assert len(store) == len(set(request.series)) > 0


@SETTINGS
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x0a\x02\xff\xfe")
def test_arbitrary_bytes_as_rows_of_series(data: bytes) -> None:
    check_rows(data)


@SETTINGS
@given(
    st.lists(st.text(max_size=4) | st.text(min_size=120, max_size=140), max_size=4),
    DATA,
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_rows_of_series_that_do_not_fit_together(
    series: list[str], values: bytes, timestamps: bytes, stride: int
) -> None:
    check_rows(PointsRequest(series=series, values=values, timestamps=timestamps, stride=stride).SerializeToString())


@SETTINGS
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x0a\x02\xff\xfe")
def test_arbitrary_bytes_as_a_request_of_either_protocol(data: bytes) -> None:
    check(scoring_messages.query_of, ScoreRequest, data)
    check(inference_messages.query_of, ModelInferRequest, data)


@SETTINGS
@given(MUTATIONS)
def test_a_good_request_with_some_bytes_changed(changes: list[tuple[int, int]]) -> None:
    windows = random_windows(2)
    check(scoring_messages.query_of, ScoreRequest, mutated(score_request(windows, ["is_anomaly"], id="1"), changes))
    check(inference_messages.query_of, ModelInferRequest, mutated(infer_request(windows, ["is_anomaly"]), changes))


@SETTINGS
@given(shape=SHAPES, data=DATA, name=NAMES, data_type=st.integers(-(2**31), 2**31 - 1), version=INT64)
def test_native_requests_of_any_shape(shape: list[int], data: bytes, name: str, data_type: int, version: int) -> None:
    request = ScoreRequest(model=name, version=version, outputs=[name])
    for tensor_name, number in ((name, data_type), ("window", 1)):
        request.window.name, request.window.data_type, request.window.data = tensor_name, number, data
        del request.window.shape[:]
        request.window.shape.extend(shape)
        check(scoring_messages.query_of, ScoreRequest, request.SerializeToString())


@SETTINGS
@given(
    shape=SHAPES,
    raw=st.lists(DATA, max_size=2),
    typed=st.lists(st.floats(width=32), max_size=12),
    doubles=st.lists(st.floats(), max_size=1),
    name=NAMES,
    parameter=NAMES | st.just("classification"),
)
def test_inference_requests_of_any_shape(
    shape: list[int], raw: list[bytes], typed: list[float], doubles: list[float], name: str, parameter: str
) -> None:
    for tensor_name, datatype in ((name, name), ("window", "FP32")):
        request = ModelInferRequest(model_name=name, model_version=name, raw_input_contents=raw)
        tensor = request.inputs.add(name=tensor_name, datatype=datatype, shape=shape)
        tensor.contents.fp32_contents.extend(typed)
        tensor.contents.fp64_contents.extend(doubles)
        check(inference_messages.query_of, ModelInferRequest, request.SerializeToString())
        request.parameters[parameter].int64_param = 1
        check(inference_messages.query_of, ModelInferRequest, request.SerializeToString())


def test_a_shape_of_a_million_dimensions_is_refused_without_multiplying_it() -> None:
    request = score_request(random_windows(1))
    request.window.shape.extend([2**62] * 1_000_000)
    query = scoring_messages.query_of(request)
    with pytest.raises(InvalidWindowError, match="rank 1000003") as caught:
        RequestForms(SCORER).find(query.shape, query.outputs)
    assert len(str(caught.value)) < 200


def test_windows_are_seen_in_the_message_and_not_copied() -> None:
    query = scoring_messages.query_of(score_request(random_windows(2)))
    windows = RequestForms(SCORER).find(query.shape, query.outputs).windows(query.data)
    assert not windows.flags.owndata
    np.testing.assert_array_equal(windows, random_windows(2))


def test_forms_do_not_fill_the_memory_whatever_callers_ask_for() -> None:
    forms = RequestForms(SCORER)
    for n_rows in range(1, 2000):
        forms.find((n_rows, 6, 2), ())
    assert len(forms._forms) == 256
    assert forms.find((1999, 6, 2), ()) is forms.find((1999, 6, 2), ())
