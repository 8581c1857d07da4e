from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("offbeat")


def run(*command: object, home: Path, **variables: str) -> str:
    environment = {"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", "HOME": str(home), "NO_COLOR": "1", **variables}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True, env=environment)
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "hook"),
    [
        ("bash", "complete -o default -F _offbeat_completion offbeat"),
        ("zsh", "compdef _offbeat_completion offbeat"),
        ("fish", "complete --command offbeat"),
    ],
)
def test_each_shells_completion_is_printed_to_be_sourced(tmp_path: Path, shell: str, hook: str) -> None:
    assert hook in run(PROGRAM, home=tmp_path, _OFFBEAT_COMPLETE=f"source_{shell}")


def test_bash_completes_commands_and_flags_with_what_was_installed(tmp_path: Path) -> None:
    # As in a terminal: a shell that finds the completion in its start-up file, and a press of TAB.
    run("bash", "-c", "offbeat --install-completion; :", home=tmp_path)
    press = """source ~/.bashrc; COMP_WORDS=({words}); COMP_CWORD=1; COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _offbeat_completion offbeat; echo "${{COMPREPLY[@]}}" """
    for words, found in (("offbeat se", "search serve"), ("offbeat serve --metrics-p", "--metrics-port")):
        assert run("bash", "-c", press.format(words=words), home=tmp_path).split("\n")[0] == found
