"""KServe's client, in an environment of its own: kserve_client.py TARGET, requests on stdin, answers on stdout."""

import asyncio
import base64
import json
import logging
import sys

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput

_TYPES = {"FP32": np.float32, "INT32": np.int32}


def _request(ask: dict) -> InferRequest:
    values = np.frombuffer(base64.b64decode(ask["data"]), _TYPES[ask["datatype"]])
    tensor = InferInput(ask["name"], list(values.shape), ask["datatype"])
    tensor.set_data_from_numpy(values)
    # The client would refuse by itself what the server is to refuse.
    tensor._shape = ask["shape"]
    outputs = [RequestedOutput(name) for name in ask["outputs"]]
    return InferRequest(ask["model"], [tensor], request_outputs=outputs, model_version=ask["version"] or None)


async def _answer(client: InferenceGRPCClient, ask: dict) -> dict:
    try:
        response = await client.infer(_request(ask), timeout=ask["timeout_s"])
    except grpc.RpcError as error:
        return {"code": error.code().name, "message": error.details()}
    outputs = {each.name: each.as_numpy() for each in response.outputs}
    return {"outputs": {name: base64.b64encode(values.tobytes()).decode() for name, values in outputs.items()}}


async def _main() -> None:
    logging.disable()
    async with InferenceGRPCClient(sys.argv[1]) as client:
        ready = [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready("level")]
        answers = [await _answer(client, ask) for ask in json.load(sys.stdin)]
    json.dump({"ready": ready, "answers": answers}, sys.stdout)


asyncio.run(_main())
