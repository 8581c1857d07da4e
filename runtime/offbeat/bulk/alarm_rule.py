"""When flagged rows add up to an alarm."""

from __future__ import annotations

import msgspec
import numpy as np

from offbeat.errors import ConfigurationError, require_count
from offbeat.result import BoolArray


class AlarmRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm while at least `alarm_k` of the last `alarm_n` rows are flagged. Raises ConfigurationError."""

    alarm_k: int
    alarm_n: int

    def __post_init__(self) -> None:
        require_count("alarm_n", self.alarm_n, 1, 1_000_000, "1 to 1,000,000 rows")
        require_count("alarm_k", self.alarm_k, 1, self.alarm_n, f"1 to alarm_n, {self.alarm_n}")

    @classmethod
    def of(cls, alarm_k: int | None, alarm_n: int | None) -> AlarmRule | None:
        """The rule of two flags, or None where neither is given. Raises ConfigurationError where one is."""
        if alarm_k is None and alarm_n is None:
            return None
        if alarm_k is None or alarm_n is None:
            raise ConfigurationError(f"alarm_k is {alarm_k}, alarm_n is {alarm_n}; expected both or neither")
        return cls(alarm_k=alarm_k, alarm_n=alarm_n)

    def alarms(self, is_flagged: BoolArray) -> BoolArray:
        """Whether there is an alarm at each row [row], itself one of the last n; rows before the first are not flagged."""
        n_flagged = np.concatenate([np.zeros(self.alarm_n, np.int64), np.cumsum(is_flagged, dtype=np.int64)])
        return np.asarray(n_flagged[self.alarm_n :] - n_flagged[: -self.alarm_n] >= self.alarm_k)
