"""`--preset auto`: from the data to an ordinary configuration, without labels of anomalies and without a search."""

from offbeat_training.auto.period import dominant_period
from offbeat_training.auto.recipe import AutoChoice, resolve

__all__ = ["AutoChoice", "dominant_period", "resolve"]
