"""Clients that nobody here wrote, each installed for the tests alone and asked by the same list of requests."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .asks import Ask

HERE = Path(__file__).parent
PROTO = HERE.parents[1] / "proto"


class StockClient(Protocol):
    """Sends requests one after the other; an answer has `outputs`, base64 by name, or `code` and `message`."""

    def answers(self, target: str, asks: Sequence[Ask]) -> list[dict[str, Any]]:
        """The answers, in the order of the requests."""
        ...


class Program:
    """A client whose program reads requests as JSON on stdin, and writes what it is told on stdout."""

    def __init__(self, *command: object, behind: Sequence[object] = (), **environment: str) -> None:
        self._command, self._behind = [*map(str, command)], [*map(str, behind)]
        self._environment = {**os.environ, **environment}

    def told(self, target: str, asks: Sequence[Ask]) -> dict[str, Any]:
        """All that the program says."""
        done = subprocess.run(
            [*self._command, target, *self._behind],
            input=msgspec.json.encode(asks),
            capture_output=True,
            env=self._environment,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def answers(self, target: str, asks: Sequence[Ask]) -> list[dict[str, Any]]:
        """The answers, in the order of the requests."""
        answers: list[dict[str, Any]] = self.told(target, asks)["answers"]
        return answers


class Grpcurl:
    """grpcurl, which knows nothing of the protocol but what reflection tells it."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def run(self, *arguments: str, message: bytes = b"") -> subprocess.CompletedProcess[str]:
        """One command, in the clear."""
        command = [str(self._program), "-plaintext", *arguments]
        return subprocess.run(command, input=message.decode(), capture_output=True, text=True, timeout=120, check=False)

    def answers(self, target: str, asks: Sequence[Ask]) -> list[dict[str, Any]]:
        """The answers, in the order of the requests."""
        return [self._answer(target, each) for each in asks]

    def _answer(self, target: str, ask: Ask) -> dict[str, Any]:
        request = {
            "modelName": ask.model,
            "modelVersion": ask.version,
            "inputs": [{"name": ask.name, "datatype": ask.datatype, "shape": ask.shape}],
            "outputs": [{"name": name} for name in ask.outputs],
            "rawInputContents": [ask.data],
        }
        method = "inference.GRPCInferenceService/ModelInfer"
        limit = ["-max-time", str(ask.timeout_s)]
        done = self.run(*limit, "-d", "@", target, method, message=msgspec.json.encode(request))
        if done.returncode == 0:
            # By reflection of Python it writes the names of the definition.
            answer = json.loads(done.stdout)
            names = [each["name"] for each in answer["outputs"]]
            return {"outputs": dict(zip(names, answer["raw_output_contents"], strict=True))}
        found = re.search(r"Code: (\w+)\s+Message: (.*)", done.stderr, re.DOTALL)
        assert found, done.stderr
        return {"code": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found[1]).upper(), "message": found[2]}
