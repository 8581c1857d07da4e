"""Which versions of a model are served."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Self

from msgspec import Struct

from offbeat.errors import ConfigurationError

_LATEST = re.compile(r"latest(?::([1-9][0-9]{0,5}))?")
_SPECIFIC = re.compile(r"specific:([1-9][0-9]{0,17}(?:,[1-9][0-9]{0,17}){0,99})")
_WORDS = "'latest', 'latest:N', 'all' or 'specific:N,N…' with versions from 1"


class VersionPolicy(Struct, frozen=True, kw_only=True):
    """Triton's version policies: the `n_latest` newest versions, or the `specific` ones, or all where neither is given."""

    n_latest: int | None = None
    specific: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The policy in words: `latest` (the newest), `latest:2`, `all`, `specific:1,3`. Raises ConfigurationError."""
        if text == "all":
            return cls()
        if match := _LATEST.fullmatch(text):
            return cls(n_latest=int(match[1] or 1))
        match = _SPECIFIC.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"version_policy is {text!r}; expected {_WORDS}")
        return cls(specific=tuple(sorted({int(number) for number in match[1].split(",")})))

    def __str__(self) -> str:
        if self.n_latest is not None:
            return f"latest:{self.n_latest}"
        return "all" if self.specific is None else f"specific:{','.join(map(str, self.specific))}"

    def choose(self, versions: Collection[int]) -> tuple[int, ...]:
        """Those of the versions that are to be served, ascending."""
        ascending = sorted(versions)
        if self.n_latest is not None:
            return tuple(ascending[-self.n_latest :])
        return tuple(version for version in ascending if self.specific is None or version in self.specific)
