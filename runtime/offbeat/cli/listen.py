"""`offbeat listen`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from rich.console import Console

from offbeat.bundle import open_version
from offbeat.cli.listen_flags import FLAGS, KINDS, USES, ListenFlags
from offbeat.cli.listen_gaps import GapFilling
from offbeat.cli.listen_loop import ListenLoop, listening_socket
from offbeat.cli.listen_rows import RowFormat
from offbeat.cli.listen_state import ListenState
from offbeat.cli.listen_watch import Watch
from offbeat.cli.options import ModelArgument
from offbeat.config import BackendConfig
from offbeat.flag_fields import made, with_fields
from offbeat.flag_use import refuse_unused
from offbeat.scorer import Scorer
from offbeat.series_config import SeriesConfig

_STANDARD_INPUT, _STANDARD_OUTPUT = 0, 1


@with_fields(KINDS, FLAGS)
def listen(context: typer.Context, model: ModelArgument, **given: Any) -> None:
    """Score rows as they arrive, as lines of csv or JSON, and print alarms as lines of JSON.

    Rows come on standard input, or from any number of clients with `--tcp`. A line of names comes before csv lines; without one
    they hold the model's features, in its order. Lines that are no rows are told on standard error, and counted. It ends, with a
    summary, where the input does, or with SIGTERM or SIGINT.

    Examples:

    - `tail -F metrics.csv | offbeat listen models/server-metrics --alarm-k 3 --alarm-n 5`
    - rows of many hosts, some with gaps: `offbeat listen models/server-metrics --tcp 127.0.0.1:7007 --series-column host --missing forward-fill`
    - over restarts: `tail -n 0 -F metrics.csv | offbeat listen models/server-metrics --state-file metrics.series`
    """
    refuse_unused(context, USES)
    asked = made(ListenFlags, given)
    address, series = asked.address(), made(SeriesConfig, given)
    tell = Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print
    with Scorer.open(open_version(model), made(BackendConfig, given)) as scorer:
        has_gaps = asked.missing == "forward-fill"
        format_ = made(RowFormat, given, feature_names=scorer.manifest.feature_names, has_gaps=has_gaps)
        loop = _loop(asked, series, format_, scorer, tell)
        if address is None:
            loop.add_standard_input(_STANDARD_INPUT)
        else:
            server = listening_socket(*address)
            loop.add_server(server)
            tell(f"listening on {address[0]}:{server.getsockname()[1]}, {scorer.backend.description}")
        try:
            with _stopped_by_signals(loop):
                loop.run()
        finally:
            tell(loop.summary())


def _loop(
    asked: ListenFlags, series: SeriesConfig, format_: RowFormat, scorer: Scorer, tell: Callable[[str], None]
) -> ListenLoop:
    """Knows the series of the last run, where there is a file of them; nobody is listened to yet."""
    watch = Watch(scorer, series, stride=asked.stride, tells_scores=asked.scores)
    state = None
    if asked.state_file is not None:
        state = ListenState(asked.state_file, scorer.manifest.name, watch.store, series, tell)
        watch.n_series = state.restore()
    return ListenLoop(
        watch,
        format_,
        _STANDARD_OUTPUT,
        tell,
        gaps=GapFilling(format_.feature_names, series) if format_.has_gaps else None,
        state=state,
        is_strict=asked.strict,
        max_clients=asked.max_clients,
    )


@contextmanager
def _stopped_by_signals(loop: ListenLoop) -> Iterator[None]:
    """SIGTERM and SIGINT end the loop well; a second one ends the process."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        loop.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
