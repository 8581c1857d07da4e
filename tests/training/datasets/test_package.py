from __future__ import annotations

import subprocess
import sys

from offbeat_training import datasets


def test_the_package_exports_exactly_what_is_promised() -> None:
    assert datasets.__all__ == [
        "TrainTest",
        "digits",
        "read_closing_prices",
        "read_ecg5000",
        "read_image_npz",
        "read_images",
        "read_nab",
        "read_skab",
        "read_smd",
        "read_tsb_ad",
        "read_ucr",
        "split_rows",
    ]


def test_importing_the_readers_loads_nothing_heavy() -> None:
    code = (
        "import sys, offbeat_training.datasets; "
        "print([m for m in ('torch', 'lightning', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
