from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offbeat.reply_timing import TIMING_KEY, ReplyTiming

NUMBERS = st.integers(0, 2**40)


@settings(max_examples=50)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_timing_is_read_as_it_was_written(
    version: int, queue_us: int, batch_us: int, compute_us: int, size: int, backend: str
) -> None:
    timing = ReplyTiming(
        version=version, queue_us=queue_us, batch_us=batch_us, compute_us=compute_us, size=size, backend=backend
    )
    assert ReplyTiming.parse(timing.text()) == timing
    assert ReplyTiming.of_metadata([("other", b"\x00"), (TIMING_KEY, timing.text())]) == timing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version=1",
        "version=1;queue=0;batch=x;compute=7;size=1;backend=a",
        "queue=0;version=1;batch=7;compute=7;size=1;backend=a",
    ],
)
def test_what_a_proxy_has_spoilt_is_no_timing(text: str) -> None:
    with pytest.raises(ValueError, match=r"timing|invalid literal"):
        ReplyTiming.parse(text)
    assert ReplyTiming.of_metadata([(TIMING_KEY, text)]) is None
    assert ReplyTiming.of_metadata(None) is None
