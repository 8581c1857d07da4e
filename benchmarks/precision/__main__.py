"""Every precision of every subject, each measured as `offbeat export` measures it.

    python -m benchmarks.precision --subjects M4 ecg5000 --json result.json

Subjects without data of their own are judged on planted anomalies. The JSON is written after each subject.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.environment import environment
from benchmarks.precision.models import Subject, subjects
from benchmarks.precision.table import markdown
from benchmarks.progress import tell
from offbeat.bundle import ModelVersion
from offbeat_export import export_checkpoint
from offbeat_export.precision import PRECISIONS
from offbeat_export.variant_export import export_variants
from tests.training.datasets.shared import SHARED_DATA


def main() -> None:
    """Prints the table of the subjects asked for."""
    arguments = _arguments()
    torch.set_num_threads(1)
    logging.getLogger("lightning").setLevel(logging.WARNING)
    # Lightning advises about workers and logging, which a benchmark cannot act on.
    warnings.filterwarnings("ignore", module="lightning")
    made, origin = subjects(arguments.data), environment()
    results: dict[str, list[dict[str, Any]]] = {}
    names = arguments.subjects or list(made)
    for number, name in enumerate(names, 1):
        tell(f"{name}, {number} of {len(names)}")
        results[name] = _variants(made[name]())
        if arguments.json is not None:
            content = msgspec.json.encode({"environment": origin, "results": results})
            arguments.json.write_bytes(msgspec.json.format(content, indent=1) + b"\n")
    print(markdown(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", nargs="+", choices=list(subjects(SHARED_DATA)), help="default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure, versions and the commit")
    parser.add_argument("--data", type=Path, metavar="FOLDER", default=SHARED_DATA, help="default: %(default)s")
    return parser.parse_args()


def _variants(subject: Subject) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as repository:
        folder = export_checkpoint(subject.checkpoint, repository, name="model", exporter="classic").folder
        source = ModelVersion.open(folder)
        reports = export_variants(
            subject.checkpoint, source, PRECISIONS, labelled=subject.labelled, calibration=subject.calibration
        )
    return [
        {
            "precision": report.precision,
            "record": msgspec.to_builtins(report.record),
            "parity_bound": None if report.manifest is None else report.manifest.parity.bound,
            "refusal": report.refusal,
        }
        for report in reports
    ]


if __name__ == "__main__":
    main()
