"""Where the real data lie, beside the repository or where OFFBEAT_SHARED_DATA says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(os.environ.get("OFFBEAT_SHARED_DATA", Path(__file__).parents[3].parent / "shared" / "data"))

needs_shared_data = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"real data are absent: no {SHARED_DATA}")
