from __future__ import annotations

import asyncio
import math
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from typing import Any

import grpc
import numpy as np
import pytest

import offbeat.client
from offbeat.client import AsyncClient, Client, ModelSummary
from offbeat.errors import (
    BackendError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidWindowError,
    OffbeatError,
    OverloadedError,
    UnavailableError,
    UnknownModelError,
)
from offbeat.result import DEFAULT_OUTPUTS
from tests.runtime.folders import LENGTH, OUTPUTS, expected_outputs, make_manifest, random_windows

from ..server.fakes import FailingBackend, GatedBackend, make_scorer
from ..server.live import Loop, Serve, eventually
from .both import Connect

NOBODY = "127.0.0.1:1"


def test_the_room_exports_the_clients() -> None:
    assert offbeat.client.__all__ == [
        "AsyncClient",
        "Client",
        "ClientSecurity",
        "ModelSummary",
        "PointResult",
        "Points",
    ]


def test_scores_over_the_wire_are_those_in_process(serve: Serve, connect: Connect) -> None:
    scorer = make_scorer(version=3)
    windows = random_windows(5)
    result = connect(serve(scorer).target).score(windows, model="level", outputs=OUTPUTS)
    assert (result.model, result.version, result.backend) == ("level", 3, "numpy (test)")
    for name, array in scorer.score(windows, OUTPUTS).arrays().items():
        np.testing.assert_array_equal(result.arrays()[name], array)


def test_only_the_default_outputs_come_unless_others_are_asked_for(serve: Serve, connect: Connect) -> None:
    result = connect(serve(make_scorer()).target).score(random_windows(1), model="level")
    assert tuple(result.arrays()) == DEFAULT_OUTPUTS
    assert result.step_error is None


def test_a_version_can_be_chosen(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer(version=1), make_scorer(version=2)).target)
    assert client.score(random_windows(1), model="level").version == 2
    assert client.score(random_windows(1), model="level", version=1).version == 1


@pytest.mark.parametrize("version", [0, -1, 2**63, 99])
def test_a_version_that_is_not_served_is_unknown(serve: Serve, connect: Connect, version: int) -> None:
    client = connect(serve(make_scorer()).target)
    with pytest.raises(UnknownModelError, match=str(version)):
        client.score(random_windows(1), model="level", version=version)
    with pytest.raises(UnknownModelError, match=str(version)):
        client.get_model("level", version)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.dtype(">f4")])
def test_other_real_numbers_are_converted(serve: Serve, connect: Connect, dtype: Any) -> None:
    windows = random_windows(2).round().astype(dtype)
    result = connect(serve(make_scorer()).target).score(windows, model="level")
    np.testing.assert_array_equal(
        result.reconstruction_error, expected_outputs(windows.astype(np.float32))["reconstruction_error"]
    )


def test_nested_lists_are_windows_too(serve: Serve, connect: Connect) -> None:
    windows = random_windows(2)
    result = connect(serve(make_scorer()).target).score(windows.tolist(), model="level")
    np.testing.assert_array_equal(result.anomaly_score, expected_outputs(windows)["anomaly_score"])


def test_windows_that_lie_scattered_in_memory_are_sent_in_order(serve: Serve, connect: Connect) -> None:
    windows = random_windows(8)[::-2, ::2]
    result = connect(serve(make_scorer()).target).score(windows, model="level")
    np.testing.assert_array_equal(
        result.anomaly_score, expected_outputs(np.ascontiguousarray(windows))["anomaly_score"]
    )


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.array([[object()]]), "dtype object; expected real numbers"),
        (np.zeros((1, 2, 2), complex), "dtype complex128; expected real numbers"),
        ([["a"]], "expected real numbers"),
        ([[1.0], [1.0, 2.0]], "not one array of numbers"),
        (np.zeros(3, np.float32), r"shape \[3\]; expected \[batch, time, feature\]"),
        (np.zeros((1, 1, 1, 1), np.float32), r"shape \[1, 1, 1, 1\]; expected"),
        (np.zeros((0, 4, 2), np.float32), "no empty axis"),
    ],
)
def test_arrays_that_no_model_takes_are_refused_before_anything_is_sent(
    connect: Connect, windows: Any, message: str
) -> None:
    with pytest.raises(InvalidWindowError, match=message):
        connect(NOBODY).score(windows, model="level")


def test_a_value_beyond_float32_is_refused_by_its_place(serve: Serve, connect: Connect) -> None:
    windows = random_windows(1).astype(np.float64)
    windows[0, 2, 1] = 1e300
    with pytest.raises(InvalidWindowError, match=r"\[0, 2, 1\].*finite"):
        connect(serve(make_scorer()).target).score(windows, model="level")


def test_the_servers_refusals_come_as_the_errors_they_were(serve: Serve, connect: Connect) -> None:
    failing = make_scorer(FailingBackend(666.0, RuntimeError("broken")))
    client = connect(serve(failing, max_batch_size=4, max_queue_size=8).target)
    cases: list[tuple[type[OffbeatError], dict[str, Any]]] = [
        (UnknownModelError, {"windows": random_windows(1), "model": "nobody"}),
        (InvalidWindowError, {"windows": random_windows(33)}),
        (InvalidWindowError, {"windows": random_windows(1), "outputs": ["forecast"]}),
        (InvalidWindowError, {"windows": np.full((1, LENGTH, 2), np.nan)}),
        (BackendError, {"windows": np.full((1, LENGTH, 2), 666.0)}),
    ]
    for kind, arguments in cases:
        with pytest.raises(kind) as caught:
            client.score(**{"model": "level", **arguments})
        assert type(caught.value) is kind
        assert isinstance(caught.value.__cause__, grpc.RpcError)


def test_a_timeout_is_a_deadline_exceeded(serve: Serve, connect: Connect) -> None:
    backend = GatedBackend()
    target = serve(make_scorer(backend)).target
    with pytest.raises(DeadlineExceededError):
        connect(target).score(random_windows(1), model="level", timeout_s=0.1)
    with pytest.raises(DeadlineExceededError):
        connect(target, timeout_s=0.1).score(random_windows(1), model="level")
    backend.gate.set()


def test_a_message_that_the_server_does_not_take_is_invalid_and_not_an_overload(serve: Serve, connect: Connect) -> None:
    target = serve(make_scorer(), max_message_bytes=10_000).target
    with pytest.raises(InvalidWindowError, match="send fewer windows at once"):
        connect(target).score(random_windows(500), model="level")


def test_large_batches_pass_in_both_directions(serve: Serve, connect: Connect) -> None:
    windows = random_windows(512, length=2500)
    assert windows.nbytes > 10e6
    result = connect(serve(make_scorer()).target).score(windows, model="level", outputs=["reconstruction"])
    np.testing.assert_array_equal(result.reconstruction, expected_outputs(windows)["reconstruction"])


def test_where_nobody_listens_every_call_is_unavailable_and_the_target_named(connect: Connect) -> None:
    client = connect(NOBODY)
    for call in (
        lambda: client.score(random_windows(1), model="level"),
        lambda: client.get_model("level"),
        client.list_models,
    ):
        with pytest.raises(UnavailableError, match=NOBODY):
            call()
    results, error = client.stream([random_windows(1)], model="level")
    assert (results, type(error)) == ([], UnavailableError)
    assert client.is_ready() is False


def test_a_server_of_another_kind_is_unavailable(connect: Connect, loop: Loop) -> None:
    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = loop.run(start())
    client = connect(f"127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="Method not found"):
        client.score(random_windows(1), model="level")
    assert not client.is_ready()
    loop.run(server.stop(None))


def test_a_peer_that_does_not_speak_grpc_is_an_offbeat_error(connect: Connect) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        client = connect(f"127.0.0.1:{mute.getsockname()[1]}", timeout_s=0.3)
        with pytest.raises(OffbeatError):
            client.list_models()


def test_models_are_listed_with_their_backends(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer(version=2), make_scorer(name="other")).target)
    assert client.list_models() == [
        ModelSummary(name="level", version=2, architecture="mean", backend="numpy (test)", max_batch_size=512),
        ModelSummary(name="other", version=1, architecture="mean", backend="numpy (test)", max_batch_size=512),
    ]


@pytest.mark.parametrize("max_in_flight", [0, -1])
def test_a_stream_that_could_never_send_is_refused(serve: Serve, max_in_flight: int) -> None:
    with Client(serve(make_scorer()).target) as client, pytest.raises(ConfigurationError, match="max_in_flight"):
        list(client.score_stream([random_windows(1)], model="level", max_in_flight=max_in_flight))


def test_an_infinite_timeout_is_none_and_no_deadline_that_has_passed(serve: Serve, connect: Connect) -> None:
    target = serve(make_scorer()).target
    client = connect(target, timeout_s=math.inf)
    for timeout_s in (math.inf, 1e300, None, 5, np.float32(5)):
        assert client.score(random_windows(1), model="level", timeout_s=timeout_s).anomaly_score is not None
    results, error = client.stream([random_windows(1)], model="level", timeout_s=math.inf)
    assert (len(results), error) == (1, None)


@pytest.mark.parametrize("timeout_s", [math.nan, "5"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(serve: Serve, connect: Connect, timeout_s: Any) -> None:
    target = serve(make_scorer()).target
    with pytest.raises(ConfigurationError, match=r"timeout_s is .*expected a"):
        connect(target, timeout_s=timeout_s)
    with pytest.raises(ConfigurationError, match=r"timeout_s is .*expected a number of seconds, or None"):
        connect(target).score(random_windows(1), model="level", timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        ({"outputs": "anomaly_score"}, InvalidWindowError, "outputs are 'anomaly_score'; expected a sequence of names"),
        ({"version": "1"}, UnknownModelError, "version '1'; expected a positive integer"),
        ({"version": 1.0}, UnknownModelError, "version 1.0; expected a positive integer"),
        ({"model": 5}, UnknownModelError, "model 5; expected the name"),
        ({"model": "\ud800"}, UnknownModelError, "expected the name"),
    ],
)
def test_what_is_asked_for_in_another_type_is_an_error_of_offbeats(
    serve: Serve, connect: Connect, asked: dict[str, Any], error: type[OffbeatError], told: str
) -> None:
    client = connect(serve(make_scorer()).target)
    with pytest.raises(error, match=told):
        client.score(random_windows(1), **{"model": "level", **asked})
    results, raised = client.stream([random_windows(1)], **{"model": "level", **asked})
    assert (results, type(raised)) == ([], error)
    assert told in str(raised)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_timeout_that_has_passed_already_is_refused(kind: type[Client] | type[AsyncClient]) -> None:
    with pytest.raises(ConfigurationError, match="timeout_s"):
        kind("127.0.0.1:1", timeout_s=-1)


def test_the_manifest_comes_whole(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer()).target)
    assert client.get_model("level") == make_manifest({}, "level")
    assert client.get_model("level", 1) == make_manifest({}, "level")
    assert client.is_ready()


def test_a_stream_yields_in_the_order_of_the_windows(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer(), n_workers=3).target)
    batches = [random_windows(1 + n % 5, length=3 + n % 4, seed=n) for n in range(300)]
    results, error = client.stream(batches, model="level", outputs=["step_error"])
    assert error is None
    assert len(results) == len(batches)
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result.step_error, expected_outputs(batch)["step_error"])
        assert result.backend == "numpy (test)"


def test_an_empty_stream_has_no_results(serve: Serve, connect: Connect) -> None:
    assert connect(serve(make_scorer()).target).stream([], model="level") == ([], None)


def test_a_refused_batch_ends_the_stream_after_the_results_before_it(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer(), max_batch_size=4, max_queue_size=32).target)
    batches = [random_windows(129 if n == 7 else 1) for n in range(20)]
    results, error = client.stream(batches, model="level")
    assert len(results) == 7
    assert isinstance(error, InvalidWindowError)
    assert "max_batch_size = 4" in str(error)


def test_a_batch_that_no_model_takes_ends_the_stream_the_same_way(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer()).target)
    results, error = client.stream([random_windows(1), random_windows(1), "text"], model="level")
    assert len(results) == 2
    assert isinstance(error, InvalidWindowError)


def test_an_exception_of_the_source_is_raised_as_it_is(serve: Serve, connect: Connect) -> None:
    def source() -> Iterator[Any]:
        yield random_windows(1)
        raise KeyError("of the caller")

    results, error = connect(serve(make_scorer()).target).stream(source(), model="level")
    assert len(results) == 1
    assert isinstance(error, KeyError)


def test_a_stream_of_an_unknown_model_fails_before_anything_is_taken_from_the_source(
    serve: Serve, connect: Connect
) -> None:
    source = iter([random_windows(1)])
    _, error = connect(serve(make_scorer()).target).stream(source, model="nobody")
    assert isinstance(error, UnknownModelError)
    assert next(source) is not None


def test_a_full_queue_is_an_overload_on_a_stream_too(serve: Serve, connect: Connect) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=1)
    statistics = server.server._models.find("level").statistics

    def open_once_refused() -> None:
        eventually(lambda: statistics.n_failed > 0, "a request on the stream is refused")
        backend.gate.set()

    opening = threading.Thread(target=open_once_refused)
    opening.start()
    results, error = connect(server.target).stream([random_windows(1)] * 4, model="level")
    opening.join()
    assert len(results) == 2
    assert isinstance(error, OverloadedError)


def test_the_time_of_a_stream_can_be_bounded(serve: Serve, connect: Connect) -> None:
    backend = GatedBackend()
    client = connect(serve(make_scorer(backend)).target)
    results, error = client.stream([random_windows(1)], model="level", timeout_s=0.2)
    assert (results, type(error)) == ([], DeadlineExceededError)
    backend.gate.set()


def test_a_stream_takes_no_more_from_its_source_than_is_in_flight(serve: Serve) -> None:
    n_taken = 0

    def source() -> Iterator[Any]:
        nonlocal n_taken
        while True:
            n_taken += 1
            yield random_windows(1)

    with Client(serve(make_scorer()).target) as client:
        before = set(threading.enumerate())
        results = client.score_stream(source(), model="level", max_in_flight=4)
        for n in range(10):
            next(results)
            time.sleep(0.02)
            assert n_taken <= n + 4
        results.close()
        eventually(lambda: set(threading.enumerate()) <= before, "who reads the source has ended")
        n_at_the_end = n_taken
        time.sleep(0.1)
        assert n_taken == n_at_the_end, "the source is read on after the stream was closed"


def test_a_stream_that_is_left_early_leaves_no_thread_behind(serve: Serve) -> None:
    with Client(serve(make_scorer()).target) as client:
        before = set(threading.enumerate())
        for _ in range(5):
            results = client.score_stream(repeat(random_windows(1)), model="level", max_in_flight=2)
            next(results)
            results.close()
        eventually(lambda: set(threading.enumerate()) <= before, "those who read the sources have ended")


def test_a_live_source_gets_each_result_before_it_gives_the_next_batch(serve: Serve) -> None:
    with Client(serve(make_scorer()).target) as client:
        n_results = 0

        def source() -> Iterator[Any]:
            for n in range(5):
                end = time.monotonic() + 60
                while n_results < n:
                    assert time.monotonic() < end, "the result of the batch before never came"
                    time.sleep(0.001)
                yield random_windows(1)

        for _ in client.score_stream(source(), model="level"):
            n_results += 1
        assert n_results == 5


def test_an_asynchronous_source_feeds_the_asynchronous_client(serve: Serve, loop: Loop) -> None:
    async def source() -> AsyncIterator[Any]:
        for n in range(20):
            await asyncio.sleep(0)
            yield random_windows(1, seed=n)

    async def use(target: str) -> list[Any]:
        async with AsyncClient(target) as client:
            return [result.anomaly_score async for result in client.score_stream(source(), model="level")]

    scores = loop.run(use(serve(make_scorer()).target))
    assert len(scores) == 20
    np.testing.assert_array_equal(scores[19], expected_outputs(random_windows(1, seed=19))["anomaly_score"])


def test_many_tasks_share_one_asynchronous_client(serve: Serve, loop: Loop) -> None:
    async def use(target: str) -> list[Any]:
        async with AsyncClient(target) as client:
            asked = (client.score(random_windows(1, seed=n), model="level") for n in range(100))
            return list(await asyncio.gather(*asked))

    for n, result in enumerate(loop.run(use(serve(make_scorer()).target))):
        np.testing.assert_array_equal(
            result.anomaly_score, expected_outputs(random_windows(1, seed=n))["anomaly_score"]
        )


def test_making_a_client_outside_of_an_event_loop_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AsyncClient("127.0.0.1:1")


def test_a_client_does_not_load_the_inference_messages() -> None:
    """They would collide with tritonclient's in one process."""
    code = "import sys, offbeat.client; print('offbeat.inference.open_inference_pb2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
