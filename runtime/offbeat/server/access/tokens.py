"""Bearer tokens, and what their bearers may do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Literal

from offbeat.errors import ConfigurationError

Role = Literal["user", "admin"]
_ADMIN = "admin:"
# RFC 6750's alphabet, which has no colon; a token must be too long to be guessed.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*")
_SCHEME = "bearer "
# Each request is compared with every token.
_MAX_TOKENS = 100
_MAX_BYTES = 2**20


class Tokens:
    """Knows tokens again by their digests; the tokens themselves are not kept."""

    def __init__(self, users: Iterable[str], admins: Iterable[str]) -> None:
        roles: dict[bytes, Role] = {_digest(token): "user" for token in users}
        roles |= {_digest(token): "admin" for token in admins}
        self._roles = tuple(roles.items())

    def __len__(self) -> int:
        return len(self._roles)

    def role(self, authorization: str) -> Role | None:
        """The role of a header's bearer; None for what is not `Bearer` and a token of these.

        Takes the same time for every token of the same length: it is compared with all of them, and to the end.
        """
        found: Role | None = None
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            shown = _digest(authorization[len(_SCHEME) :])
            for digest, role in self._roles:
                if compare_digest(digest, shown):
                    found = role
        return found


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file, one a line, those of admins behind `admin:`; `#` begins a line of comment.

    Raises ConfigurationError, naming the line and never the token, for what is no token, and for a file without any.
    """
    tokens: dict[Role, list[str]] = {"user": [], "admin": []}
    for number, line in enumerate(_lines(path), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        token = words.removeprefix(_ADMIN)
        if _TOKEN.fullmatch(token) is None:
            raise ConfigurationError(
                f"{path}: line {number} is no token; expected 16 to 512 of the letters, digits and ._~+/-, "
                f"behind {_ADMIN} where its bearer may load and unload"
            )
        tokens["user" if token == words else "admin"].append(token)
    found = Tokens(tokens["user"], tokens["admin"])
    if not 1 <= len(found) <= _MAX_TOKENS:
        raise ConfigurationError(f"{path}: {len(found)} tokens; expected 1 to {_MAX_TOKENS}, one a line")
    return found


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}; expected a file of tokens") from error
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: more than {_MAX_BYTES} bytes; expected a file of tokens, one a line")
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not text; expected a file of tokens, one a line") from error


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
