from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offbeat.bulk.alarm_rule import AlarmRule
from offbeat.errors import ConfigurationError


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 12), st.data())
def test_an_alarm_is_k_flags_among_the_last_n_rows(flags: list[bool], n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    alarms = AlarmRule(alarm_k=k, alarm_n=n).alarms(np.array(flags, dtype=np.bool_))
    assert alarms.tolist() == [sum(flags[max(0, row - n + 1) : row + 1]) >= k for row in range(len(flags))]


def test_one_of_one_is_the_flag_itself() -> None:
    flags = np.array([True, False, True])
    assert AlarmRule(alarm_k=1, alarm_n=1).alarms(flags).tolist() == flags.tolist()


@pytest.mark.parametrize(
    ("k", "n", "words"), [(0, 3, "alarm_k is 0"), (4, 3, "1 to alarm_n, 3"), (1, 0, "alarm_n is 0")]
)
def test_a_rule_that_cannot_be_is_refused(k: int, n: int, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AlarmRule(alarm_k=k, alarm_n=n)


def test_flags_come_both_or_not_at_all() -> None:
    assert AlarmRule.of(None, None) is None
    assert AlarmRule.of(2, 3) == AlarmRule(alarm_k=2, alarm_n=3)
    for k, n in ((2, None), (None, 3)):
        with pytest.raises(ConfigurationError, match="both or neither"):
            AlarmRule.of(k, n)
