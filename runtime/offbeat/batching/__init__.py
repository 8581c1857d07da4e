"""How waiting requests become batches: policy only, without clocks, threads or sockets."""

from offbeat.batching.batcher import DynamicBatcher
from offbeat.batching.cost import BatchCost
from offbeat.batching.request import Batch, PendingRequest

__all__ = ["Batch", "BatchCost", "DynamicBatcher", "PendingRequest"]
