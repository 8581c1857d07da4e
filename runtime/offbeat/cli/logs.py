"""The log of a process that serves."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from offbeat.config import LogFormat
from offbeat.telling import in_lines

_HUMAN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# What the server adds to its records beside the words, for machines to read.
_FIELDS = ("refused", "incident")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, and where there are any, fields and a trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; line breaks are escaped, so that nobody's message can look like another line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """A line for people, without control characters: names in it may come from a caller. Further lines, as of a trace, are indented."""

    def __init__(self) -> None:
        super().__init__(_HUMAN)

    def format(self, record: logging.LogRecord) -> str:
        """The line; none that a message or a trace adds begins as a line of the log does."""
        return in_lines(super().format(record)).replace("\n", "\n    ")


def log_to_stderr(log_format: LogFormat) -> None:
    """Has everything from INFO written to stderr, for people or as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
