"""Colours that colour-blind readers tell apart, on white and on black.

Source: Okabe, Ito, "Color Universal Design", 2008; yellow and black are left out, being lost on one of the two grounds.
"""

from __future__ import annotations

from offbeat_training.report.chart import Dash

BLUE = "#2b83ba"
ORANGE = "#e69f00"
VERMILLION = "#d55e00"
GREEN = "#009e73"
SKY = "#56b4e9"
PURPLE = "#cc79a7"
GREY = "#808080"

# What things are coloured, the same in every pane.
TRUE, FOUND, THRESHOLD, MODEL, NORMAL = ORANGE, PURPLE, VERMILLION, BLUE, SKY

# One for each contender, the model first; a dash of its own too, so that nobody depends on the colour.
CONTENDERS: tuple[tuple[str, Dash], ...] = ((MODEL, "solid"), (GREY, "dot"), (VERMILLION, "dash"), (GREEN, "dashdot"))

# Even in lightness, and the same to all readers: from dark blue to yellow.
HEAT = "cividis"
