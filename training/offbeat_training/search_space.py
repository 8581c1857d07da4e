"""Which values a search tries: the words of `--space`."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import get_args, get_type_hints

import msgspec
import numpy as np

from offbeat.errors import ConfigurationError
from offbeat_training.config import TrainingConfig
from offbeat_training.preset_designs import AUTO

Value = bool | int | float | str | None
DEFAULT_SPACE = ("lr=log:1e-4:1e-2", "hidden_size=16,32,64,128", "grad_clip=none,0.5,1,5")
N_GRID_POINTS = 4
_TYPES = get_type_hints(TrainingConfig)


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """A few values, written `16,32,64`; `none` is one too."""

    values: tuple[Value, ...]

    def points(self) -> tuple[Value, ...]:
        """What a grid tries."""
        return self.values


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers from `low` to `high`, written `log:1e-4:1e-2` or `lin:0:0.5`; whole ones where the field is whole.

    A grid tries `n_points` of them, written behind: `log:1e-4:1e-2:3`.
    """

    low: float
    high: float
    is_log: bool
    is_whole: bool
    n_points: int = N_GRID_POINTS

    def points(self) -> tuple[Value, ...]:
        """What a grid tries: evenly spaced, in the logarithm where the range is logarithmic."""
        spaced = (np.geomspace if self.is_log else np.linspace)(self.low, self.high, self.n_points).tolist()
        # The ends come back rounded from the logarithm, and must stay inside.
        inside = [min(max(value, self.low), self.high) for value in spaced]
        return tuple(sorted({round(value) for value in inside})) if self.is_whole else tuple(inside)


Dimension = Choices | Range
Space = Mapping[str, Dimension]


def parse_space(words: tuple[str, ...], fixed: Collection[str] = ()) -> dict[str, Dimension]:
    """The default space without the fields that are `fixed`, changed and added to by `name=values`.

    Each name is a field of TrainingConfig. Raises ConfigurationError, naming the word, for an unknown or a fixed field and
    for values that it cannot have, and where every field is fixed.
    """
    space: dict[str, Dimension] = {}
    for word in (*(word for word in DEFAULT_SPACE if word.partition("=")[0] not in fixed), *words):
        name, equals, values = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in _TYPES:
            raise ConfigurationError(
                f"space is {word!r}; expected NAME=VALUES, where NAME is a field of the configuration"
            )
        if name in fixed:
            raise ConfigurationError(f"space is {word!r}, and {name} is given a value too; expected one of the two")
        space[name] = _dimension(word, name, values.strip())
        if name == "preset" and AUTO in space[name].points():
            raise ConfigurationError(
                f"space is {word!r}; {AUTO} is resolved once, before the search: expected it as --preset, or others here"
            )
    if not space:
        raise ConfigurationError(f"space is empty, as {', '.join(sorted(fixed))} are given; expected a field to search")
    return space


def grid(space: Space) -> list[dict[str, Value]]:
    """Every combination of the dimensions' points, the last dimension changing fastest."""
    points = (dimension.points() for dimension in space.values())
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*points)]


def _dimension(word: str, name: str, values: str) -> Dimension:
    kind, *bounds = values.split(":")
    if kind in ("log", "lin"):
        return _range(word, name, kind == "log", bounds)
    choices = tuple(dict.fromkeys(_value(word, name, each.strip()) for each in values.split(",")))
    return Choices(values=choices)


def _range(word: str, name: str, is_log: bool, bounds: list[str]) -> Range:
    types = {getattr(each, "__origin__", each) for each in (get_args(_TYPES[name]) or (_TYPES[name],))}
    try:
        low, high, *n_points = (float(bound) for bound in bounds)
        is_possible = low < high and (low > 0 or not is_log) and types & {int, float} and len(n_points) < 2
    except ValueError:
        is_possible = False
    if not is_possible:
        shape = "log:LOW:HIGH, above 0," if is_log else "lin:LOW:HIGH"
        raise ConfigurationError(f"space is {word!r}; expected {shape} of a field that is a number")
    n = int(n_points[0]) if n_points else N_GRID_POINTS
    if not 2 <= n <= 1000:
        raise ConfigurationError(f"space is {word!r}; expected 2 to 1,000 points")
    return Range(low=low, high=high, is_log=is_log, is_whole=float not in types, n_points=n)


def _value(word: str, name: str, text: str) -> Value:
    if text.lower() == "none":
        text = "null"
    try:
        value: Value = msgspec.convert(text, _TYPES[name], strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"space is {word!r}; {text!r} cannot be {name}: {error}") from error
    return value
