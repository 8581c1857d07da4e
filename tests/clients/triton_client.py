"""Triton's client: triton_client.py TARGET, requests on stdin, answers on stdout."""

import base64
import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

_TYPES = {"FP32": np.float32, "INT32": np.int32}


def _answer(client: triton.InferenceServerClient, ask: dict) -> dict:
    values = np.frombuffer(base64.b64decode(ask["data"]), _TYPES[ask["datatype"]])
    tensor = triton.InferInput(ask["name"], values.shape, ask["datatype"])
    tensor.set_data_from_numpy(values)
    # The client would refuse by itself what the server is to refuse.
    tensor.set_shape(ask["shape"])
    outputs = [triton.InferRequestedOutput(name) for name in ask["outputs"]]
    try:
        result = client.infer(
            ask["model"], [tensor], model_version=ask["version"], outputs=outputs, client_timeout=ask["timeout_s"]
        )
    except InferenceServerException as error:
        return {"code": error.status().removeprefix("StatusCode."), "message": error.message()}
    contents = {name: result.as_numpy(name).tobytes() for name in ask["outputs"]}
    return {"outputs": {name: base64.b64encode(data).decode() for name, data in contents.items()}}


client = triton.InferenceServerClient(sys.argv[1])
json.dump({"answers": [_answer(client, ask) for ask in json.load(sys.stdin)]}, sys.stdout)
client.close()
