from __future__ import annotations

import grpc
import numpy as np
import pytest

from offbeat import errors
from offbeat.client.messages import result_of
from offbeat.client.points import PointReplies, Points
from offbeat.client.replies import ReplySequence
from offbeat.client.status import ERRORS, error_of, error_of_number
from offbeat.server.rpc.status import STATUS
from offbeat.v1 import scoring_pb2 as v1


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_is_an_offbeat_error(code: grpc.StatusCode) -> None:
    error = error_of(code, "told", "there:1")
    assert type(error) is ERRORS.get(code, errors.OffbeatError)
    assert "told" in str(error)
    assert type(error_of_number(code.value[0], "told", "there:1")) is type(error)


@pytest.mark.parametrize("kind", [kind for kind in STATUS if kind is not errors.OffbeatError])
def test_an_error_of_the_server_is_the_same_error_at_the_client(kind: type[errors.OffbeatError]) -> None:
    assert type(error_of(STATUS[kind], "told", "there:1")) is kind


def test_a_number_that_is_no_status_is_an_error_of_the_backend() -> None:
    assert isinstance(error_of_number(4711, "told", "there:1"), errors.BackendError)


def test_a_status_without_words_tells_its_name() -> None:
    assert str(error_of(grpc.StatusCode.UNAVAILABLE, None, "there:1")) == "there:1: UNAVAILABLE"


def response(**fields: object) -> v1.ScoreResponse:
    tensor = {"name": "anomaly_score", "data_type": v1.DATA_TYPE_FLOAT32, "shape": [2], "data": bytes(8), **fields}
    return v1.ScoreResponse(model="level", version=1, outputs=[v1.Tensor(**tensor)])


@pytest.mark.parametrize(
    "damage",
    [
        {"data": bytes(7)},
        {"shape": [3]},
        {"shape": [-1, -2]},
        {"data_type": v1.DATA_TYPE_BOOL},
        {"data_type": 77},
        {"name": "output of a later version"},
    ],
    ids=str,
)
def test_an_answer_that_is_not_whole_is_an_error_of_the_backend(damage: dict[str, object]) -> None:
    with pytest.raises(errors.BackendError):
        result_of(response(**damage), "numpy")


def test_a_stream_that_ends_before_its_answers_is_an_error() -> None:
    replies = ReplySequence("numpy", "there:1")
    early = v1.ScoreStreamResponse(response=v1.ScoreResponse(id="1"))
    assert list(replies.accept(early)) == []
    with pytest.raises(errors.BackendError, match="after 0 answers to 2 requests"):
        replies.check_complete(2)


def test_what_one_message_tells_of_several_requests_comes_in_their_order() -> None:
    """Within a message scores stand before refusals."""
    replies = PointReplies("numpy", "there:1")
    sent = [Points(series=name, values=np.zeros((1, 2))) for name in "abcdefghijkl"]
    for number, points in enumerate(sent):
        replies.request(
            points, model="level", version=None, outputs=(), stride=1, answer_delay_us=0, request_id=str(number)
        )
    scores = [v1.PointScores(id=str(number)) for number in range(12) if number != 10]
    refused = v1.PointsRefusal(id="10", code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="late")
    told = []
    with pytest.raises(errors.InvalidWindowError, match="late"):
        told.extend(each.points for each in replies.accept(v1.PointsResponse(scores=scores, refusals=[refused])))
    assert told == sent[:10]
