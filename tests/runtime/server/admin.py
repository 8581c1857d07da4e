"""Asking a server to change what it serves, and what it serves now."""

from __future__ import annotations

from typing import Any

import grpc

from offbeat.inference import open_inference_pb2 as oip

from .calls import ask
from .live import LiveServer

SERVICE = "/inference.GRPCInferenceService"


def load(server: LiveServer, name: str = "level", **parameters: oip.ModelRepositoryParameter) -> None:
    request = oip.RepositoryModelLoadRequest(model_name=name, parameters=parameters)
    ask(server.channel, f"{SERVICE}/RepositoryModelLoad", request, oip.RepositoryModelLoadResponse)


def load_versions(server: LiveServer, policy: str) -> None:
    """Loads `level` by a version policy in JSON."""
    load(server, config=oip.ModelRepositoryParameter(string_param=f'{{"version_policy": {policy}}}'))


def unload(server: LiveServer, name: str = "level", **parameters: oip.ModelRepositoryParameter) -> None:
    request = oip.RepositoryModelUnloadRequest(model_name=name, parameters=parameters)
    ask(server.channel, f"{SERVICE}/RepositoryModelUnload", request, oip.RepositoryModelUnloadResponse)


def index(server: LiveServer) -> dict[tuple[str, str], tuple[str, str]]:
    """State and reason by name and version."""
    told = ask(server.channel, f"{SERVICE}/RepositoryIndex", oip.RepositoryIndexRequest(), oip.RepositoryIndexResponse)
    return {(each.name, each.version): (each.state, each.reason) for each in told.models}


def ready(server: LiveServer) -> list[tuple[str, str]]:
    return [key for key, (state, _) in index(server).items() if state == "READY"]


def statistics(server: LiveServer, name: str = "", version: str = "") -> list[Any]:
    request = oip.ModelStatisticsRequest(name=name, version=version)
    told = ask(server.channel, f"{SERVICE}/ModelStatistics", request, oip.ModelStatisticsResponse)
    return list(told.model_stats)


def code_of(error: BaseException) -> grpc.StatusCode:
    assert isinstance(error, grpc.RpcError)
    code = error.code()
    assert isinstance(code, grpc.StatusCode)
    return code
