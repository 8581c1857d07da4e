"""Whether this tree is slower than the stored baseline, in about a minute: ratios to a reference of the same run, in turns.

    python -m benchmarks.check --markdown summary.md        # make bench-check
    python -m benchmarks.check --save                       # measure anew what is compared with
    python -m benchmarks.check --base ../base               # with another checkout that has its .venv, on any machine

Exits with 1 and a table where something is slower twice: a suspicion is measured again before it counts. The baseline is of one
kind of machine; on another one nothing is compared with it, which is said, and the exit status is 0.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.progress import tell
from offbeat.bench import Comparison, Result, Thresholds, compare, read_result, this_machine
from offbeat.bench.markdown import markdown

BASELINE = Path(__file__).parent / "results" / "baseline.json"
MODELS = ("M1", "M2", "M5")
# Calls of more than a millisecond are interrupted on a busy machine, which looks like a slow change.
_FLAGS = ("--batch", "1", "--batch", "8", "--backend", "native", "--backend", "onnxruntime", "--processes", "5")
# A fifth is caught and noise is not, as docs/benchmarks.md tells.
THRESHOLDS = Thresholds(default=0.1)

Measure = Callable[[], Result]


def main() -> None:
    """Compares, or stores."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE")
    parser.add_argument("--base", type=Path, metavar="CHECKOUT", help="measure this one too, in place of the baseline")
    parser.add_argument("--save", action="store_true", help="store what is measured as the baseline")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring; default: %(default)s")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a summary for a pull request")
    arguments = parser.parse_args()
    if arguments.base is not None and not _python(arguments.base).is_file():
        parser.error(f"--base is {arguments.base}: {_python(arguments.base)} is not there")
    if arguments.base is None and not arguments.save and not arguments.baseline.is_file():
        parser.error(f"--baseline is {arguments.baseline}: it is not there; --save stores one")
    with tempfile.TemporaryDirectory() as folder:
        slower, text = _verdict(arguments, Path(folder))
    print(text)
    if arguments.markdown is not None:
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(text)
    sys.exit(1 if slower else 0)


def _verdict(arguments: argparse.Namespace, folder: Path) -> tuple[set[str], str]:
    """The names of what is slower, and the summary."""
    seconds = arguments.seconds
    if arguments.save:
        measure(Path(), sys.executable, folder / "now", seconds, arguments.baseline)
        return set(), f"stored {arguments.baseline}"
    if arguments.base is None:
        if other := other_machine(arguments.baseline):
            return set(), f"### Nothing was compared\n\n{other}\n"
        before = _named(read_result(arguments.baseline), arguments.baseline.name)
    else:
        measured = measure(arguments.base, str(_python(arguments.base)), folder / "base", seconds, folder / "base.json")
        before = _named(measured, str(arguments.base))

    def measure_now() -> Result:
        return _named(measure(Path(), sys.executable, folder / "now", seconds, folder / "now.json"), "this tree")

    return judge(before, measure_now)


def _python(checkout: Path) -> Path:
    return (checkout / ".venv" / "bin" / "python").absolute()


def _named(result: Result, name: str) -> Result:
    """What a summary calls it: the names of temporary files say nothing."""
    return msgspec.structs.replace(result, path=Path(name))


def judge(before: Result, measure_now: Measure) -> tuple[set[str], str]:
    """What is slower in a measurement and, where that has something slower, in a second one; and the summary of the last."""
    first = compare(before, measure_now(), THRESHOLDS)
    if not (suspected := _slower(first)):
        return set(), markdown(first)
    tell(f"slower: {', '.join(sorted(suspected))}; once more")
    second = compare(before, measure_now(), THRESHOLDS)
    slower = suspected & _slower(second)
    note = "Measured twice, since something was slower the first time. Slower both times: "
    return slower, f"{markdown(second)}\n{note}{', '.join(sorted(slower)) or 'nothing, so that nothing is'}.\n"


def _slower(comparison: Comparison) -> set[str]:
    return {each.name for each in comparison.slower}


def other_machine(baseline: Path) -> str | None:
    """A sentence, where the baseline was measured on another kind of machine, or with another numpy for the reference."""
    about: dict[str, Any] = msgspec.json.decode(baseline.read_bytes())["machine_info"]
    here = this_machine()
    then = (about["cpu"]["brand_raw"], about["cpu"]["count"], about["machine"], about["numpy"])
    now = (here.cpu, here.n_cores, here.architecture, np.__version__)
    if then == now:
        return None
    return (
        f"The baseline was measured on {_words(then)}; this is {_words(now)}. Ratios do not carry over well enough: "
        "`python -m benchmarks.check --base CHECKOUT` compares with another checkout here, `--save` stores a baseline of this machine."
    )


def _words(machine: tuple[str, int, str, str]) -> str:
    cpu, n_cores, architecture, numpy = machine
    return f"{cpu} ({architecture}), {n_cores} cores, numpy {numpy}"


def measure(checkout: Path, python: str, folder: Path, seconds: float, target: Path) -> Result:
    """Exports the models with a checkout's own code, times them with its own runtime, and reads what it wrote to `target`."""
    tell(f"measuring {checkout.absolute().name}: {', '.join(MODELS)}")
    if not folder.is_dir():
        _run(checkout, [python, "-m", "benchmarks.models", str(folder), *MODELS])
    run = [python, "-m", "offbeat", "bench", "run", str(folder), "--save", str(target.absolute())]
    _run(checkout, [*run, "--seconds", str(seconds), *_FLAGS])
    return read_result(target)


def _run(checkout: Path, command: Sequence[str]) -> None:
    """What it says of its progress goes to standard error; that it failed ends this program with its status, and 2 at least."""
    done = subprocess.run(command, cwd=checkout, stdout=sys.stderr, check=False)
    if done.returncode:
        tell(f"{' '.join(command)} ended with {done.returncode}")
        sys.exit(2)


if __name__ == "__main__":
    main()
