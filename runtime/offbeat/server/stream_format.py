"""How one protocol puts requests and answers on a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from offbeat.server.query import Query, Scored


class StreamFormat(Struct, frozen=True, kw_only=True, eq=False):
    """Of the streams of a `method`. Requests are messages of `kind`, with an `id`. An answer is encoded from the scores and the id, a refusal from the id, the
    number of its google.rpc.Code and its message. Answers come in the order of the requests where it `keeps_order`.
    """

    method: str
    kind: type[Any]
    query_of: Callable[[Any], Query]
    encoded_answer: Callable[[Scored, str], bytes]
    encoded_refusal: Callable[[str, int, str], bytes]
    keeps_order: bool
