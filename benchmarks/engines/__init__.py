"""Engines against each other: in turns, each family in a process of its own, beside what the processor can do."""
