"""Turns the newest results of each kind into docs/performance.md, its plots, and the figures that other pages show."""
