"""What a picture shows, before anything draws it: the browser and matplotlib draw from the same values."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Scale = Literal["linear", "log", "time"]
Dash = Literal["solid", "dash", "dot", "dashdot"]
Symbol = Literal["circle", "diamond", "square", "triangle-up"]


class _Shown(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Frozen and keyword-only; arrays have no one truth value, so nothing is compared."""


class Axis(_Shown, frozen=True, kw_only=True):
    """One axis of a panel; a time is milliseconds since 1970, UTC. `names` stand at 0, 1, … instead of numbers."""

    title: str = ""
    low: float | None = None
    high: float | None = None
    scale: Scale = "linear"
    names: tuple[str, ...] = ()


class Line(_Shown, frozen=True, kw_only=True):
    """A line through `x` and `y` [point]; NaN interrupts it. Without `in_legend` the axes say what it is."""

    name: str
    x: Floats
    y: Floats
    colour: str
    dash: Dash = "solid"
    in_legend: bool = True


class Area(_Shown, frozen=True, kw_only=True):
    """Filled polygons through `x` and `y` [corner], NaN between one and the next."""

    name: str
    x: Floats
    y: Floats
    colour: str
    opacity: float = 0.3
    in_legend: bool = True


class Points(_Shown, frozen=True, kw_only=True):
    """A marker at each `x` and `y` [point]."""

    name: str
    x: Floats
    y: Floats
    colour: str
    symbol: Symbol = "circle"
    in_legend: bool = True


class Heat(_Shown, frozen=True, kw_only=True):
    """Cells coloured by `values` [row, column] from 0 to `high`, above which the colour stays.

    Columns lie between the `edges` [column + 1], rows about 0, 1, …; `words` [row][column], if any, stand in the cells.
    """

    name: str
    edges: Floats
    values: Floats
    high: float = 1.0
    words: tuple[tuple[str, ...], ...] = ()


Mark = Line | Area | Points | Heat


class Panel(_Shown, frozen=True, kw_only=True):
    """One pair of axes, `height_px` high, and what is drawn in it, the first at the bottom."""

    marks: tuple[Mark, ...]
    x: Axis
    y: Axis
    height_px: int
    title: str = ""


class Chart(_Shown, frozen=True, kw_only=True):
    """Panels in rows of `n_columns`, the x axes linked where `shares_x`; `name` is its file's and its anchor's.

    `note` says what cannot be seen: what was left out, how lines were thinned.
    """

    name: str
    title: str
    note: str
    panels: tuple[Panel, ...]
    n_columns: int = 1
    shares_x: bool = False
    is_wide: bool = False
