"""The command line: `offbeat train | search | evaluate | export | inspect | serve | score | version`."""

from offbeat.cli.app import main

__all__ = ["main"]
