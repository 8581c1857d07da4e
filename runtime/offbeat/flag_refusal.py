"""Why a value cannot be a flag's."""

from __future__ import annotations

from typing import Any

import typer

# In the words of pydantic, which typer asks about values: each has its own names for the bounds.
_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def refusal(name: str, error: typer.BadParameter) -> str:
    """What was seen and what is expected of the flag `name`; in typer's own words where that is all there is to say."""
    found = _found(error)
    if found.get("type") in _EXPECTED:
        expected = _EXPECTED[found["type"]].format(**found.get("ctx", {}))
        return f"{name} is {found['input']!r}; expected {expected}"
    return f"{name}: {error.message.removeprefix('Value error, ').removesuffix('.')}"


def _found(error: typer.BadParameter) -> dict[str, Any]:
    """Pydantic's first finding; nothing where typer is one that asks nobody."""
    findings: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    return findings[0] if findings else {}
