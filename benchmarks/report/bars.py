"""What the project set itself before anything was measured. Bars are shown beside what was measured, met or not."""

from __future__ import annotations

# Times as fast as ONNX Runtime in float32, by model and batch.
FASTER = {
    ("M1", 1): 6.5,
    ("M1", 512): 3.2,
    ("M2", 1): 5.0,
    ("M2", 512): 2.4,
    ("M3", 1): 2.0,
    ("M3", 512): 1.9,
    ("M4", 1): 1.4,
    ("M4", 512): 1.5,
    ("M5", 1): 6.0,
    ("M5", 512): 1.2,
}
# The same with the fastest of the narrower weights.
FASTER_NARROW = {("M3", 1): 4.0, ("M4", 1): 4.0}
# Of what the core could do at the same time, at batch 512.
SHARE = {"M1": 0.65, "M2": 0.65, "M3": 0.65, "M4": 0.75, "M5": 0.60}

# Beside a bare grpcio echo of the same bytes: the share of its requests a second and times its 99th percentile, with 64 in flight
# and one window; and times its median plus the backend's own time, with 1 in flight.
SHARE_OF_ECHO, TIMES_ECHO_P99, TIMES_ECHO_P50 = 0.80, 2.0, 1.15
# With 32 windows a request: of the windows a second that the backend scores in process.
SHARE_OF_BACKEND = 0.85

MAX_DRIFT = 0.02
# Of capacity, when asked for three times as much; and how far memory may move in minutes of it.
GOODPUT, MAX_ENDURANCE_DRIFT = 0.90, 0.05
EDGE_BYTES, EDGE_START_MS, EDGE_MIB = 1_000_000, 5.0, 10.0
