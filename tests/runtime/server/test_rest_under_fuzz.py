"""Bodies of any shape: a request, or a clear refusal, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from offbeat.errors import OffbeatError
from offbeat.server.messages.inference_messages import query_of
from offbeat.server.messages.rest_messages import infer_request
from tests.runtime.folders import random_windows

from .rest_client import infer_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(("name", "datatype", "shape", "data", "parameters"))
PARAMETERS = st.dictionaries(
    st.sampled_from(("binary_data_size", "binary_data", "priority", "timeout", "sequence_id", "x")), VALUES, max_size=2
)


def check(body: bytes, n_json: int) -> None:
    with contextlib.suppress(OffbeatError):
        query_of(infer_request("level", "", body, n_json).message)


@settings(max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes(body: bytes, n_json: int) -> None:
    check(body, min(n_json, len(body)))


@settings(max_examples=300)
@given(st.dictionaries(NAMES, VALUES, max_size=2), PARAMETERS, PARAMETERS, st.binary(max_size=30))
def test_a_good_request_with_some_fields_changed(
    tensor: dict[str, Any], own: dict[str, Any], whole: dict[str, Any], binary: bytes
) -> None:
    body = infer_json(random_windows(1), ["is_anomaly"], parameters=whole)
    body["inputs"][0] |= {"parameters": own} | tensor
    head = json.dumps(body).encode()
    check(head + binary, len(head))
