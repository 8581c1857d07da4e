"""The gRPC server."""

from offbeat.server.run import run_server
from offbeat.server.server import Server

__all__ = ["Server", "run_server"]
