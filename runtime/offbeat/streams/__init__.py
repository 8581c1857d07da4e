"""What is remembered of series between their rows: policy only, without clocks, threads or sockets."""

from offbeat.streams.rows import Rows, Taken
from offbeat.streams.series_state import SeriesState
from offbeat.streams.state_file import read_state, write_state
from offbeat.streams.store import SeriesStore
from offbeat.streams.together import TakenTogether

__all__ = ["Rows", "SeriesState", "SeriesStore", "Taken", "TakenTogether", "read_state", "write_state"]
