"""The errors offbeat raises.

    OffbeatError
    ├── ConfigurationError        a setting is out of range or contradicts another
    │   └── MissingExtraError     an optional dependency is not installed
    ├── DataError                 an input file or table cannot be used
    ├── CheckpointError           a training checkpoint cannot be read
    ├── TrainingError             training cannot start or did not converge to finite numbers
    ├── ExportError               a checkpoint cannot become a model version folder
    │   └── ParityError           the exported scores differ from the eager model's
    ├── BundleError               a model version folder or repository is not what it claims
    │   └── FormatAbsentError     the folder is good, but does not hold the format that was asked for
    ├── UnknownModelError         no such model or version is being served
    ├── InvalidWindowError        the windows or the requested outputs do not fit the model
    ├── UnauthenticatedError      the caller has no valid token
    ├── ForbiddenError            the caller's token does not allow this
    ├── PreconditionError         the server is not set up for what was asked; trying again changes nothing
    ├── OverloadedError           the queue is full; trying again at once makes it worse
    ├── DeadlineExceededError     the caller's deadline passed; the work was not run
    ├── RequestCancelledError     the caller went away
    ├── UnavailableError          draining, loading, or unreachable
    └── BackendError              the engine failed; the message carries an incident id

Every message says what was seen, what was expected, and where. None of them knows of gRPC:
`offbeat.server.rpc.status` maps them to status codes and `offbeat.client.status` maps them back.
"""

from __future__ import annotations

from numbers import Integral

# That of the longest folder, whose name a model has.
_MAX_NAME = 255


class OffbeatError(Exception):
    """Base of every error that offbeat raises on purpose."""


class ConfigurationError(OffbeatError):
    """A setting is out of range, unknown, or contradicts another."""


class MissingExtraError(ConfigurationError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class DataError(OffbeatError):
    """An input file or table cannot be read or does not hold what is needed."""


class CheckpointError(OffbeatError):
    """A training checkpoint is missing, damaged, hostile or of an unknown schema."""


class TrainingError(OffbeatError):
    """Training cannot start, or its loss is no longer a finite number."""


class ExportError(OffbeatError):
    """A checkpoint cannot be turned into a model version folder."""


class ParityError(ExportError):
    """An exported model's scores differ from the eager model's beyond the bound."""


class BundleError(OffbeatError):
    """A model version folder or a model repository is not what it claims to be."""


class FormatAbsentError(BundleError):
    """A model version folder does not hold the file of a format that is optional."""


class UnknownModelError(OffbeatError):
    """The model, or that version of it, is not being served."""


class InvalidWindowError(OffbeatError, ValueError):
    """Windows, or the outputs asked for, do not fit the model."""


class UnauthenticatedError(OffbeatError):
    """No token was shown, or none that is valid."""


class ForbiddenError(OffbeatError):
    """The token that was shown does not allow this."""


class PreconditionError(OffbeatError):
    """The server is not set up for what was asked, and will not be by waiting."""


class OverloadedError(OffbeatError):
    """The queue is full. Back off before trying again."""


class DeadlineExceededError(OffbeatError, TimeoutError):
    """The deadline passed before the answer was ready."""


class RequestCancelledError(OffbeatError):
    """The request was cancelled by its caller."""


class UnavailableError(OffbeatError):
    """The server drains, the model is loading, or nobody answers."""


class BackendError(OffbeatError):
    """The engine that runs the model failed."""


def quoted(name: str) -> str:
    """What a caller has called something, as a message tells it: no longer than a name can be, and gone with the message."""
    return repr(name) if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]!r}… ({len(name)} characters)"


def require(condition: bool, field: str, seen: object, expected: str) -> None:
    """Raises ConfigurationError, naming the field, what was seen and what is expected, unless the condition holds."""
    if not condition:
        raise ConfigurationError(f"{field} is {seen!r}; expected {expected}")


def require_count(field: str, seen: object, least: int, most: int, expected: str) -> None:
    """Raises ConfigurationError unless `seen` is a whole number, of Python or numpy, from `least` to `most`: 2.0 and True are none."""
    is_whole = isinstance(seen, Integral) and not isinstance(seen, bool)
    require(is_whole, field, seen, f"a whole number, {expected}")
    require(least <= seen <= most, field, seen, expected)  # type: ignore[operator]
