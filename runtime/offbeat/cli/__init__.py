"""The command line: `offbeat` with a command: train, export, inspect, verify, serve, score and others."""

from offbeat.cli.app import main

__all__ = ["main"]
