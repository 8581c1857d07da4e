"""Detection quality on the acceptance sets: two models beside PCA, an isolation forest and chance.

    python -m benchmarks.detection --sets ecg5000 adbench --seeds 0 1 2 --json result.json

`auto` is the recipe `--preset auto`, the same for every set, which the targets are held to; `fixed` has one configuration
for each set. The seeds go round all sets in turn and the JSON is written after each, so that a run
that is stopped leaves whole seeds behind.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.detection.configurations import CONFIGURATIONS, Configurations
from benchmarks.detection.protocols import PROTOCOLS
from benchmarks.detection.summary import summarise
from benchmarks.detection.table import markdown
from benchmarks.detection.trial import Trial
from benchmarks.environment import environment
from offbeat.errors import OffbeatError
from tests.training.datasets.shared import SHARED_DATA


def main() -> None:
    """Prints the table of the sets and seeds asked for."""
    arguments = _arguments()
    logging.getLogger("lightning").setLevel(logging.WARNING)
    # Lightning advises about workers and logging, which a benchmark cannot act on.
    warnings.filterwarnings("ignore", module="lightning")
    missing = [name for name in arguments.sets if not (arguments.data / name).is_dir()]
    if missing:
        sys.exit(f"benchmarks.detection: no folder {arguments.data / missing[0]}; name the data with --data")
    try:
        trials = _run(arguments)
    except (OffbeatError, OSError) as error:
        sys.exit(f"benchmarks.detection: {error}")
    print(markdown(summarise(trials)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--without-fixed", action="store_true", help="measure auto and the baselines only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write trials, means, versions and the commit")
    parser.add_argument("--data", type=Path, metavar="FOLDER", default=SHARED_DATA, help="default: %(default)s")
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> list[Trial]:
    origin, fixed = environment(), {} if arguments.without_fixed else CONFIGURATIONS
    trials: list[Trial] = []
    for seed in arguments.seeds:
        for name in arguments.sets:
            trials += PROTOCOLS[name](arguments.data / name, seed, fixed)
            if arguments.json is not None:
                _write(arguments.json, origin, fixed, trials)
    return trials


def _write(file: Path, origin: dict[str, Any], fixed: Configurations, trials: list[Trial]) -> None:
    used = {name: fixed[name] for name in dict.fromkeys(trial.set for trial in trials) if name in fixed}
    content = {"environment": origin, "configurations": used, "lines": summarise(trials), "trials": trials}
    file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


if __name__ == "__main__":
    main()
