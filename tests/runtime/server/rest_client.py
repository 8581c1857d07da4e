"""What a test asks of the REST form, over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from typing import Any

from offbeat.result import FloatArray

from .fakes import NumpyBackend, make_scorer
from .live import LiveServer, Serve

INFER = "/v2/models/level/infer"


def rest(serve: Serve, backend: NumpyBackend | None = None, **settings: Any) -> LiveServer:
    """A server with the REST form."""
    return serve(make_scorer(backend), **{"metrics_port": 0, "rest": True, **settings})


def infer_json(windows: FloatArray, outputs: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """A right request, flat."""
    tensor = {"name": "window", "datatype": "FP32", "shape": windows.shape, "data": windows.ravel().tolist()}
    return {"inputs": [tensor], "outputs": [{"name": name} for name in outputs or ()], **fields}


def ask(
    server: LiveServer, path: str, body: object = None, *, method: str | None = None, **headers: str
) -> tuple[int, Any]:
    """Status and JSON of an answer; a body that is no bytes goes as JSON."""
    status, _, content = exchange(server, path, body, method=method, **headers)
    return status, json.loads(content)


def exchange(
    server: LiveServer, path: str, body: object = None, *, method: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.server.metrics_port, timeout=60)
    with closing(connection):
        connection.request(method or ("GET" if body is None else "POST"), path, data, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def raw(server: LiveServer, sent: bytes = b"") -> socket.socket:
    """A connection on which these bytes were sent."""
    connection = socket.create_connection(("127.0.0.1", server.server.metrics_port or 0), timeout=60)
    connection.sendall(sent)
    return connection


def received(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
