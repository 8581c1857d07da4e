"""Parity: how far an exported format's outputs may be from the eager model's."""

from __future__ import annotations

# |Δerror| ≤ PARITY_BOUND · max(1, error) for every float32 format, against eager float32.
PARITY_BOUND = 1e-5
# Against float64, the root mean square of a format's error over all windows may be this many times eager's own, or a
# tenth of the bound. A mean, since the largest of 400 roundings is chance; a floor, since eager's LSTM kernel (oneDNN)
# rounds three to six times less than ONNX Runtime's at hidden size 256, both far within the bound.
FLOAT64_FACTOR = 2.0
FLOAT64_FLOOR = PARITY_BOUND / 10
# How far a row's error may move with its batch-mates, its position and the batch's size, relative to max(1, error):
# engines pick other kernels for other sizes, and those add in another order.
ROW_BOUND = 1e-6
