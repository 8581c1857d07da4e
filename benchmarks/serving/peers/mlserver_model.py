"""MLServer's custom runtime around an ONNX Runtime session. Runs in an environment of its own."""

from __future__ import annotations

import numpy as np
import onnxruntime
from mlserver import MLModel  # type: ignore[import-not-found, unused-ignore]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found, unused-ignore]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found, unused-ignore]

_OUTPUTS = ("reconstruction_error", "anomaly_score", "is_anomaly")


class OnnxModel(MLModel):  # type: ignore[misc, unused-ignore]
    """The three scores of `window`."""

    async def load(self) -> bool:
        """One thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """In the event loop: the model takes less than handing it to a thread would."""
        window = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        scores = self._session.run(_OUTPUTS, {"window": window})
        outputs = [NumpyCodec.encode_output(name, values) for name, values in zip(_OUTPUTS, scores, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
