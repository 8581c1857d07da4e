"""The commands this room adds to `offbeat`. Importing them is cheap: torch is loaded when one runs."""

from offbeat_training.evaluate_command import evaluate
from offbeat_training.search_command import search
from offbeat_training.train_command import train

__all__ = ["evaluate", "search", "train"]
