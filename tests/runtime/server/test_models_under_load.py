from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import grpc
import pytest

from offbeat.inference.open_inference_pb2 import RepositoryModelLoadRequest, RepositoryModelUnloadRequest
from offbeat.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub

from .swapping import Swapping, resident_kib, server_process, write_repository

# What becomes of requests while models change.
EVERY = {"steady 1", "steady 2", "steady 3", "coming 1", "coming NOT_FOUND"}


@pytest.mark.parametrize("flags", [(), ("--max-inline-us", "0", "--n-workers", "2")], ids=["inline", "workers"])
def test_no_answer_is_wrong_or_lost_while_models_are_loaded_replaced_and_unloaded(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    async def run(target: str) -> Swapping:
        swapping = Swapping(target)
        await swapping.run(2, until=EVERY)
        return swapping

    write_repository(tmp_path)
    with server_process(tmp_path, *flags) as (_, target):
        swapping = asyncio.run(run(target))
    assert swapping.wrong == []
    assert sum(swapping.answers.values()) == swapping.n_sent
    assert set(swapping.answers) >= EVERY, "nothing changed under the load"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_loads(tmp_path: Path) -> None:
    write_repository(tmp_path)
    resident = []
    with server_process(tmp_path) as (number, target), grpc.insecure_channel(target) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for _ in range(50):
            stub.RepositoryModelLoad(RepositoryModelLoadRequest(model_name="steady"), timeout=60)
            stub.RepositoryModelUnload(RepositoryModelUnloadRequest(model_name="steady"), timeout=60)
            resident.append(resident_kib(number))
    # The first ones load code, and make room.
    assert max(resident[40:]) < 1.05 * max(resident[5:15])
