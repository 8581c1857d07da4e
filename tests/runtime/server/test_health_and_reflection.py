from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.runtime.folders import random_windows, write_version

from .admin import load, unload
from .calls import score, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ["offbeat.v1.AnomalyScoring", "inference.GRPCInferenceService"]


def check(server: LiveServer, service: str) -> Any:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(server.channel).Check(request, timeout=60).status


class Watcher:
    """A stock health watch, whose statuses arrive in a queue."""

    def __init__(self, server: LiveServer, service: str) -> None:
        self.seen: queue.Queue[Any] = queue.Queue()
        self._channel = grpc.insecure_channel(server.target)
        request = health_pb2.HealthCheckRequest(service=service)
        self._call = health_pb2_grpc.HealthStub(self._channel).Watch(request, timeout=120)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        try:
            for reply in self._call:
                self.seen.put(reply.status)
        except grpc.RpcError as error:
            self.seen.put(error.code())

    def is_left_in_peace(self) -> bool:
        """Whether the watch has ended as calls end that nobody broke off."""
        self._thread.join(60)
        return bool(self._call.code() is grpc.StatusCode.OK and self.seen.empty())

    def close(self) -> None:
        self._channel.close()
        self._thread.join()


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_the_server_and_each_service_are_serving(serve: Serve, service: str) -> None:
    assert check(serve(make_scorer()), service) == SERVING


def test_the_health_of_an_unknown_service_is_not_found(serve: Serve) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(serve(make_scorer()), "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_each_model_has_a_health_of_its_own_that_a_drain_ends(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), make_scorer(name="other"))
    watcher = Watcher(server, "level")
    assert watcher.seen.get(timeout=60) == SERVING
    assert check(server, "other") == SERVING
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    draining = threading.Thread(target=server.drain)
    draining.start()
    assert watcher.seen.get(timeout=60) == NOT_SERVING
    assert check(server, "other") == NOT_SERVING
    backend.gate.set()
    draining.join(60)
    assert running.result(60)
    watcher.close()


def test_a_model_that_is_unloaded_and_loaded_again_tells_those_who_watch_it(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path)
    server = serve(path=tmp_path, model_control_mode="explicit", load_model=("level",))
    watcher = Watcher(server, "level")
    assert watcher.seen.get(timeout=60) == SERVING
    unload(server)
    assert watcher.seen.get(timeout=60) == NOT_SERVING
    assert (check(server, "level"), check(server, "")) == (NOT_SERVING, SERVING)
    load(server)
    assert watcher.seen.get(timeout=60) == SERVING
    watcher.close()


def test_watching_an_unknown_service_says_so(serve: Serve) -> None:
    watcher = Watcher(serve(make_scorer()), "nobody")
    assert watcher.seen.get(timeout=60) == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watcher.close()


def test_a_draining_server_tells_every_watcher_that_is_left_and_lets_none_hold_it_up(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    leaving, *staying = [Watcher(server, service) for service in ("", "", *SERVICES)]
    for watcher in (leaving, *staying):
        assert watcher.seen.get(timeout=60) == SERVING
    leaving.close()
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    draining = threading.Thread(target=server.drain)
    draining.start()
    for watcher in staying:
        assert watcher.seen.get(timeout=60) == NOT_SERVING
    assert check(server, "") == NOT_SERVING
    backend.gate.set()
    draining.join(60)
    assert not draining.is_alive()
    assert running.result(60)
    for watcher in staying:
        assert watcher.is_left_in_peace()
        watcher.close()


def test_reflection_lists_the_services_and_describes_their_methods(serve: Serve) -> None:
    server = serve(make_scorer())
    database = ProtoReflectionDescriptorDatabase(server.channel)
    assert set(database.get_services()) == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for service, method in zip(SERVICES, ("ScoreStream", "ModelInfer"), strict=True):
        described = database.FindFileContainingSymbol(service)
        [found] = [each for each in described.service if service.endswith(each.name)]
        assert method in {each.name for each in found.method}


def test_channelz_counts_calls_where_it_is_asked_for_and_is_not_there_otherwise(serve: Serve) -> None:
    silent, telling = serve(make_scorer()), serve(make_scorer(), channelz=True)
    with pytest.raises(grpc.RpcError) as caught:
        channelz_pb2_grpc.ChannelzStub(silent.channel).GetServers(channelz_pb2.GetServersRequest(), timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    for _ in range(3):
        score(telling.channel, score_request(random_windows(1)))
    stub = channelz_pb2_grpc.ChannelzStub(telling.channel)
    servers = stub.GetServers(channelz_pb2.GetServersRequest(), timeout=60).server
    # It tells of the whole process: a server of a test before may not have quite gone yet. Numbers are given as they are asked for.
    newest = max(servers, key=lambda server: server.data.trace.creation_timestamp.ToNanoseconds())
    assert newest.data.calls_started >= 3
    assert "grpc.channelz.v1.Channelz" in ProtoReflectionDescriptorDatabase(telling.channel).get_services()


def test_a_client_that_keeps_reflection_open_does_not_hold_up_a_drain(serve: Serve) -> None:
    server = serve(make_scorer())
    never_ending: queue.Queue[Any] = queue.Queue()
    never_ending.put(reflection_pb2.ServerReflectionRequest(list_services=""))
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    call = stub.ServerReflectionInfo(iter(never_ending.get, None), timeout=120)
    assert next(call).list_services_response.service
    draining = threading.Thread(target=server.drain)
    draining.start()
    eventually(lambda: not draining.is_alive(), "drained, long before the grace time")
    never_ending.put(None)
