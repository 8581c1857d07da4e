"""What a message shows of words that came from elsewhere: a file, a folder, a caller."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_NAMES = 20
_MOST_CHARACTERS = 80


def in_one_line(text: str) -> str:
    """The text with whatever is no character to see written as Python escapes it, so that it steers no terminal and stays one line."""
    return text if text.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def in_lines(text: str) -> str:
    """The same of a text that may have several lines."""
    return "\n".join(map(in_one_line, text.split("\n")))


def listed(names: Sequence[str]) -> str:
    """Names with commas between, each in one line; of very many, or of very long ones, the beginning and how many there are."""
    shown = map(in_one_line, names[:_MOST_NAMES])
    told = [name if len(name) <= _MOST_CHARACTERS else f"{name[:_MOST_CHARACTERS]}…" for name in shown]
    return ", ".join(told) + (f", … ({len(names):,} in all)" if len(names) > _MOST_NAMES else "")
