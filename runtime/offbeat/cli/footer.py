"""What `--help` says below the flags: the exit statuses and the environment, as a manual page does."""

from __future__ import annotations

_FAILED = "1 an error, told in one line on standard error; 2 wrong usage."
_STOPPED = "130 interrupted by Ctrl-C; 143 ended by SIGTERM."
_USUAL = f"{_FAILED} {_STOPPED}"
_INTERRUPTED = "What is kept is told then."
# Of the commands whose statuses say more than that.
_STATUSES = {
    "train": f"0 the checkpoint is written; {_USUAL} {_INTERRUPTED}",
    "search": f"0 the best configuration is told; {_USUAL} {_INTERRUPTED}",
    "inspect": "0 shown; 1 an error, or a damaged model in a repository; 2 wrong usage.",
    "verify": f"0 all versions are what they claim to be; 1 at least one is not, or an error; 2 wrong usage. {_STOPPED}",
    "diff": f"0 equal; 1 different; 2 they cannot be compared, or wrong usage. {_STOPPED}",
    "bench": f"0 done; {_USUAL} Of compare: 0 nothing got slower; 1 something did; 2 they cannot be compared, or wrong usage.",
    "listen": f"0 the input ended, or SIGTERM or Ctrl-C ended it, with a summary; {_FAILED}",
    "serve": f"0 drained after SIGTERM or Ctrl-C, or with --check nothing is wrong; {_FAILED}",
}
_ENVIRONMENT = "a variable named beside a flag sets it; a flag that is given wins. NO_COLOR prints without colours, COLUMNS sets the width."


def footer(command: str = "") -> str:
    """The last two paragraphs of a command's help, or of that of the whole."""
    status = _STATUSES.get(command, f"0 done; {_USUAL}")
    return f"Exit status: {status}\n\nEnvironment: {_ENVIRONMENT}"
