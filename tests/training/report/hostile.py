"""Names that would do harm if a page took them for more than words."""

from __future__ import annotations

import msgspec

from offbeat_training.report import ReportInputs
from tests.training.report.samples import series_inputs

SCRIPT = "<script>document.title='owned'</script>"
NAMES = (
    SCRIPT,
    "</script><img src=http://x.invalid/a.png onerror=document.title='owned'>",
    '<a href="javascript:document.title=1">$x$ & <b>bold</b></a>',
)


def hostile_inputs() -> ReportInputs:
    """A report whose names all come from somebody else."""
    inputs = series_inputs(features=NAMES)
    first, *others = inputs.comparison.contenders
    contenders = (msgspec.structs.replace(first, name=SCRIPT), *others)
    comparison = msgspec.structs.replace(inputs.comparison, contenders=contenders)
    return msgspec.structs.replace(inputs, title=SCRIPT, facts=((SCRIPT, NAMES[1]),), comparison=comparison)
